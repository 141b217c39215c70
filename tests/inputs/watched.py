"""The start of a script that notes the most anonymous memory of its process (mapped files do not count)."""

from __future__ import annotations

#: ``peak`` holds KiB once ``done.set()`` and ``watcher.join()`` were called
WATCH = """
import json, re, resource, threading, time
from pathlib import Path

peak, done = 0, threading.Event()


def watch():
    global peak
    while not done.wait(0.05):
        status = Path("/proc/self/status").read_text()
        peak = max(peak, int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]))


watcher = threading.Thread(target=watch)
watcher.start()
"""
