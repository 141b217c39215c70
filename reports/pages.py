"""The small pages (comparison, evidence by clause): one file, no script, nothing loaded, everything escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .numbers import ABSENT, visible

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, *, charts: bool = False, **values: Any) -> str:
    """Render a page of ``templates/`` with the common style sheet and a policy that lets nothing else in.

    Args:
        template: file name.
        charts: the page holds drawings, and needs their rules.
        values: what the template shows; untrusted text is escaped, control characters become visible.

    Returns:
        A complete HTML document.
    """
    css = asset("page.css") + (_drawn() if charts else Markup(""))
    page = environment().get_template(template)
    return page.render(css=css, css_hash=digest_of(css), **values)


def _drawn() -> Markup:
    """The colours and rules of drawings, out of the report's style sheet."""
    css = asset("report.css")
    colours = css[: css.index("* { box-sizing")]
    return Markup("\n").join([colours, *map(Markup, re.findall(r"^\.chart\b[^{]*\{[^}]*\}", css, re.MULTILINE))])


def asset(name: str) -> Markup:
    """A style sheet or script of ``templates/``: our own file, never user text, so it is not escaped."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704


def digest_of(content: str) -> str:
    """Digest by which the security policy of a page allows an inline style or script."""
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def environment() -> Environment:
    """Jinja as every page needs it: what is untrusted is escaped, what is unknown is an error."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["slug"] = lambda text: text.lower().replace(" ", "-")
    return made


def _printable(value: object) -> object:
    """Last step before escaping: no control characters, and a dash for what is absent."""
    if value is None:
        return ABSENT
    return visible(str(value)) if isinstance(value, str) and not isinstance(value, Markup) else value
