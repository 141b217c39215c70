"""A headless Chromium on its remote-debugging pipe: no driver and no package besides the browser."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
_PIPE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """One page. ``messages`` collects everything that the console, the security policy or a script complains of."""

    def __init__(self, profile: Path) -> None:
        ours = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
        read_by_it, write, self._read, written_by_it = ours
        self._write = os.fdopen(write, "wb")
        command = [sys.executable, "-c", _PIPE, str(read_by_it), str(written_by_it), str(CHROMIUM), *OPTIONS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(read_by_it, written_by_it), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_by_it)
        os.close(written_by_it)
        self._buffer, self._count, self._session = b"", 0, ""
        self.messages: list[str] = []
        self.loaded = 0
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._write.close()
        os.close(self._read)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while True:
            found = self._next()
            if found.get("id") == self._count:
                assert "error" not in found, found["error"]
                return dict(found["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            received = os.read(self._read, 1 << 20)
            assert received, "the browser has gone"
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        method, params = found.get("method"), found.get("params", {})
        if method == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.messages.append(json.dumps(params["args"]))
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:")):
            self.messages.append(f"asks for {params['request']['url']}")
        elif method == "Page.loadEventFired":
            self.loaded += 1
        return found

    def look(self, width: int, *, dark: bool = False, medium: str = "screen", script: bool = True) -> None:
        """Set the window's width, the colour scheme, the medium, and whether pages may run scripts."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=medium, features=[scheme])
        self.send("Emulation.setScriptExecutionDisabled", value=not script)

    def open(self, page: Path) -> None:
        """Load a file and wait until it stands."""
        before = self.loaded
        self.send("Page.navigate", url=page.as_uri())
        while self.loaded == before:
            self._next()

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited; the page's own security policy stays in force."""
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, code: int, *, text: str = "") -> None:
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            held = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **held)

    def screenshot(self, path: Path) -> bytes:
        """The whole page as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))
        return path.read_bytes()
