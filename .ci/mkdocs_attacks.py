"""One page an attack, generated from its class: docstring, access, claims, parameters, source."""

from __future__ import annotations

import inspect
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from attacks.base import Attack, discover
from attacks.tasks import serving
from audit.policy.policy import load_policy

SHADOWS = {"": "none", "trained": "trained on coins", "unlearned": "unlearned by the user's procedure"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages below "Attacks" in the navigation."""
    (section,) = (item["Attacks"] for item in config.nav or [] if "Attacks" in item)
    section.extend({cls.title: f"attacks/{name}.md"} for name, cls in discover().items())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, cls in discover().items():
        files.append(File.generated(config, f"attacks/{name}.md", content=page(cls)))
    return files


def page(cls: type[Attack]) -> str:
    """Markdown of one attack."""
    gated = load_policy("standard")[0].kinds(cls.name)
    rows: list[tuple[str, Any]] = [
        ("Name", f"`{cls.name}`, version {cls.version}"),
        ("Access", cls.access.name.lower()),
        ("Needs the original", "yes" if cls.needs_original else "no"),
        ("Tasks", ", ".join(serving(cls.signal))),
        ("Forget and holdout rows treated alike", "yes" if cls.symmetric else "no"),
        ("Gated for claims (policy `standard`)", ", ".join(gated) or "none: reported, never gated"),
        ("Families of tests", ", ".join(sorted(cls.families))),
        ("Shadow models", SHADOWS[cls.design]),
        ("Source", cls.source),
    ]
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    return (
        f"# {cls.title}\n\n{inspect.getdoc(cls)}\n\n| | |\n|---|---|\n{table}\n\n{_parameters(cls)}"
        f"## What it observes\n\n{inspect.getdoc(cls.run)}\n\n## How it scores\n\n{inspect.getdoc(cls.combine)}\n\n"
        f"Formulas, controls and limits: [attacks](../attacks.md). Code: `{cls.__module__}`.\n"
    )


def _parameters(cls: type[Attack]) -> str:
    found = cls().parameters
    if not found:
        return ""
    rows = "\n".join(f"| `{key}` | {value} |" for key, value in found.items())
    return f"## Parameters\n\n| parameter | value |\n|---|---|\n{rows}\n\n{_arguments(cls)}"


def _arguments(cls: type[Attack]) -> str:
    doc = inspect.getdoc(cls.__init__) or ""
    _, separator, listed = doc.partition("Args:\n")
    lines = [line.strip() for line in listed.splitlines() if line.strip()] if separator else []
    return "\n".join(f"- {line}" if ":" in line.split(" ")[0] else f"  {line}" for line in lines) + "\n\n"
