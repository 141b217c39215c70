"""Tables of values as shades, and grids of small pictures: one panel a model."""

from __future__ import annotations

import base64
import struct
import zlib

from markupsafe import Markup

from audit.judge.densities import MODELS
from audit.record.attack_record import Chart, Series
from reports.numbers import num

from . import svg
from .series import ROLE_NAMES, ROWS, Drawn

_SHADES = 6  # classes h0 .. h5 in report.css, light to dark
_LEFT, _ROW, _HEAD = 112.0, 24.0, 28.0
_COLUMN_NAMES = 8
_READABLE = 40.0  # width of a cell that has room for its value
_TILE, _ACROSS = 104.0, 4  # side of a picture with its name, and pictures side by side


def heatmap(chart: Chart, drawn: Drawn) -> tuple[float, list[Markup]]:
    """Height and parts; the value stands in every cell that has room for it. All panels share their shades."""
    values = [y for _, points in drawn for _, y in points]
    low, high = min(values), max(values)
    columns = max(len(points) for _, points in drawn)
    width = (svg.WIDTH - _LEFT) / columns
    shades: list[list[str]] = [[] for _ in range(_SHADES)]
    words = [svg.text(4, 14, chart.y_label, "axis-title", limit=60)]
    y = 24.0
    for role in ROWS:
        rows = [(s, points) for s, points in drawn if s.role == role]
        words += [svg.text(4, y + 18, ROLE_NAMES[role], "label")] if rows else []
        y += _HEAD if rows else 0.0
        for series, points in rows:
            if series.name not in (series.role, *MODELS.values()):
                words.append(svg.text(4, y + 16, series.name, "tick", limit=15))
            for position, value in points:
                shade = min(_SHADES - 1, int((value - low) / (high - low or 1.0) * _SHADES))
                x = _LEFT + width * position
                shades[shade].append(f"M{svg.px(x)} {svg.px(y)}h{svg.px(width)}v{svg.px(_ROW)}h-{svg.px(width)}z")
                if width >= _READABLE:
                    number = svg.text(x + width / 2, y + 16, num(value), f"value on{shade}", anchor="middle", limit=9)
                    words.append(number)
            y += _ROW
    cells = [Markup('<path class="cell h{}" d="{}"/>').format(i, "".join(d)) for i, d in enumerate(shades) if d]
    words += _columns(chart, columns, width, y)
    words.append(svg.text((_LEFT + svg.WIDTH) / 2, y + 36, chart.x_label, "axis-title", anchor="middle", limit=60))
    legend, height = _legend(low, high, y + 52)
    return height, cells + words + legend


def _columns(chart: Chart, columns: int, width: float, y: float) -> list[Markup]:
    """Names of the columns; of many, every second, third ... is named."""
    stride = -(-columns // _COLUMN_NAMES)
    room = max(4, int(width * stride / 7))
    return [
        svg.text(_LEFT + width * (i + 0.5), y + 17, name, "tick", anchor="middle", limit=room)
        for i, name in enumerate(chart.ticks or [str(i) for i in range(columns)])
        if i % stride == 0
    ]


def _legend(low: float, high: float, y: float) -> tuple[list[Markup], float]:
    """The shades from the lowest to the highest value."""
    side = 28.0
    boxes = [
        Markup('<path class="cell h{}" d="M{} {}h{}v12h-{}z"/>').format(
            i, svg.px(_LEFT + side * i), svg.px(y), svg.px(side), svg.px(side)
        )
        for i in range(_SHADES)
    ]
    ends = [
        svg.text(_LEFT - 8, y + 11, num(low), "tick", anchor="end"),
        svg.text(_LEFT + side * _SHADES + 8, y + 11, num(high), "tick"),
    ]
    return boxes + ends, y + 24


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
