"""Tables of values as shades, and grids of small pictures: one panel a model."""

from __future__ import annotations

import base64
import struct
import zlib

from markupsafe import Markup

from audit.attack_record import Chart, Series

from . import svg
from .numbers import num
from .series import ROLE_NAMES, ROWS, Drawn

_SHADES = 6  # classes h0 .. h5 in report.css, light to dark
_LEFT, _ROW, _HEAD = 112.0, 24.0, 28.0
_COLUMN_NAMES = 8
_TILE, _ACROSS = 104.0, 4  # side of a picture with its name, and pictures side by side


def heatmap(chart: Chart, drawn: Drawn) -> tuple[float, list[Markup]]:
    """Height and parts; the value stands in every cell that has room for it."""
    values = [y for _, points in drawn for _, y in points]
    low, high = min(values), max(values)
    columns = max(len(points) for _, points in drawn)
    width = (svg.WIDTH - _LEFT) / columns
    body = [svg.text(4, 14, chart.y_label, "axis-title", limit=60)]
    y = 24.0
    for role in ROWS:
        rows = [(s, points) for s, points in drawn if s.role == role]
        if not rows:
            continue
        body.append(svg.text(4, y + 18, ROLE_NAMES[role], "label"))
        y += _HEAD
        for series, points in rows:
            if series.name != series.role:
                body.append(svg.text(4, y + 16, series.name, "tick", limit=15))
            for position, value in points:
                body += _cell(_LEFT + width * position, y, width, value, (value - low) / (high - low or 1.0))
            y += _ROW
    stride = -(-columns // _COLUMN_NAMES)
    for position in range(0, columns, stride):
        words = chart.ticks[position] if chart.ticks else str(position)
        x = _LEFT + width * (position + stride / 2 if stride > 1 else position + 0.5)
        body.append(svg.text(x, y + 17, words, "tick", anchor="middle", limit=max(5, int(width * stride / 7))))
    body.append(svg.text((_LEFT + svg.WIDTH) / 2, y + 36, chart.x_label, "axis-title", anchor="middle", limit=60))
    return y + 48, body


def _cell(x: float, y: float, width: float, value: float, share: float) -> list[Markup]:
    shade = min(_SHADES - 1, int(share * _SHADES))
    template = Markup('<rect class="cell h{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>')
    parts = [template.format(shade, svg.px(x), svg.px(y), svg.px(width), svg.px(_ROW), num(value))]
    if width >= 40:
        parts.append(svg.text(x + width / 2, y + 16, num(value), f"value on{shade}", anchor="middle", limit=9))
    return parts


def grid(chart: Chart, drawn: Drawn) -> tuple[float, list[Markup]]:  # noqa: ARG001 - as all kinds
    """Height and parts; pictures are inlined and stay sharp."""
    body: list[Markup] = []
    y = 0.0
    for role in ROWS:
        pictures = [s for s, _ in drawn if s.role == role and s.pixels]
        if not pictures:
            continue
        body.append(svg.text(4, y + 18, ROLE_NAMES[role], "label"))
        y += _HEAD
        for at, series in enumerate(pictures):
            left, top = 4 + (_TILE + 12) * (at % _ACROSS), y + (_TILE + 24) * (at // _ACROSS)
            template = Markup('<image class="pixels" x="{}" y="{}" width="{}" height="{}" href="{}"/>')
            body.append(template.format(svg.px(left), svg.px(top), svg.px(_TILE), svg.px(_TILE), png(series)))
            body.append(svg.text(left, top + _TILE + 14, series.name, "tick", limit=15))
        y += (_TILE + 24) * -(-len(pictures) // _ACROSS)
    return y + 8, body


def png(series: Series) -> str:
    """The picture as a ``data:`` address of a PNG file; stored, not deflated, so that the bytes are always the same."""
    pixels, width = bytes.fromhex(series.pixels), series.width
    rows = b"".join(b"\0" + pixels[i : i + width] for i in range(0, len(pixels), width))
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(pixels) // width, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", stored + struct.pack(">I", zlib.adler32(rows)))
    content = b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(content).decode()
