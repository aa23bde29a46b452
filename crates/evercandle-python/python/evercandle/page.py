"""What a notebook shows of an answer: some rows, who supplied them, what is missing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .answer import Answer

# Rows shown at either end, and lines of the story.
_ROWS, _LINES = 5, 12


def page(answer: Answer[Any]) -> str:
    """A fragment of HTML; nothing that others said goes into it unescaped."""
    rows = len(answer)
    shown = list(range(min(rows, _ROWS))) + list(range(max(_ROWS, rows - _ROWS), rows))
    lines: list[list[str]] = []
    for position in shown:
        if position == rows - _ROWS and rows > 2 * _ROWS:
            lines.append(["…"] * len(answer.columns))
        lines.append([_cell(value) for value in answer[position]])
    state = "complete" if answer.is_complete else "<b>incomplete</b>"
    parts = [
        f"<p><b>{escape(answer.symbol)}</b> {answer.market} {answer.label}: {rows:,} rows, {state}</p>",
        _table(answer.columns, lines),
    ]
    segments = answer.segments
    if segments:
        told = [
            [f"{one.start:%Y-%m-%d %H:%M}", f"{one.end:%Y-%m-%d %H:%M}", one.provider, one.via, one.verification]
            for one in segments[:_LINES]
        ]
        parts.append(_details("segments", len(segments), ("from", "to", "provider", "via", "verified by"), told))
    gaps = answer.gaps
    if gaps:
        told = [
            [
                f"{one.start:%Y-%m-%d %H:%M}",
                f"{one.end:%Y-%m-%d %H:%M}",
                f"{one.slots:,}",
                one.reason.replace("_", " ") + "".join(f"; {tried.provider}: {tried.what}" for tried in one.tried),
            ]
            for one in gaps[:_LINES]
        ]
        parts.append(_details("gaps", len(gaps), ("from", "to", "slots", "why"), told))
    return "<div>" + "".join(parts) + "</div>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "year") else f"{value:,}"


def _details(what: str, count: int, names: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    return f"<details><summary>{count:,} {what}</summary>{_table(names, lines)}</details>"


def _table(names: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
