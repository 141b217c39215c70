"""The small pages (comparison, evidence by clause): one file, no script, nothing loaded, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .numbers import ABSENT, visible

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, **values: Any) -> str:
    """Render a page of ``templates/`` with the common style sheet and a policy that lets nothing else in.

    Args:
        template: file name.
        values: what the template shows; untrusted text is escaped, control characters become visible.

    Returns:
        A complete HTML document.
    """
    css = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    page = _environment().get_template(template)
    return page.render(css=Markup(css), css_hash=digest, **values)  # noqa: S704 - our own file, never user text


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slug"] = lambda text: text.lower().replace(" ", "-")
    return environment


def _printable(value: object) -> object:
    if value is None:
        return ABSENT
    return visible(str(value)) if isinstance(value, str) and not isinstance(value, Markup) else value
