"""A comparison on a terminal: one table a section, or a list where the columns do not fit."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.formats.terminal import plain

from .compare import Cell, Comparison

_STYLES = {"good": "green", "bad": "bold red", "open": "yellow", "plain": ""}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what keeps the runs from being comparable, then the tables.

    Args:
        comparison: from `compare.compare`.
        console: where to print; names are printed as plain text, never as markup.
    """
    for text in comparison.obstacles:
        console.print(plain(f"NOT COMPARABLE: {text}", console, "bold red"))
    for section in comparison.sections:
        if not section.rows:
            continue
        table = Table(title=section.title, title_justify="left", title_style="bold", show_lines=True)
        table.add_column(section.head, ratio=1)
        for column in comparison.columns:
            table.add_column(plain(column, console), ratio=1)
        for row in section.rows:
            title = f"{row.title} (differs)" if row.differs else row.id or row.title
            table.add_row(plain(title, console), *(_cell(cell, console) for cell in row.cells))
        console.print(table)
    for text in comparison.notes:
        console.print(plain(text, console, "dim"))


def _cell(cell: Cell, console: Console) -> Text:
    word = Text(cell.word, style=_STYLES[cell.tone])
    return word.append_text(plain(f"{' ' if cell.word else ''}{cell.text}", console, "default not bold"))
