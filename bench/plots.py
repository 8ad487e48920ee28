"""Pictures as SVG, drawn by ourselves: bars of servers, and shares of limits.

Theory.  A picture brings its own background and has two sets of colours; the reader's theme chooses (prefers-color-scheme), so that it is
legible in both.  Widths of text are estimated, not measured, hence generous.
Rules of this file: pure; values in, text out.
"""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 960
_MARGIN: Final = 24
_ROW: Final = 22
_TITLE: Final = 62
_GAP: Final = 28
_LABEL: Final = 128  # for a server's name
_VALUE: Final = 74  # for a number right of the longest bar
_SHARE_LABEL: Final = 330

STYLE: Final = """
  .card { fill: #ffffff; stroke: #d0d7de } .grid { stroke: #d8dee4 } .track { fill: #eef1f4 }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .head { font-weight: 600 } .soft { fill: #59636e; font-size: 12px }
  .ours { fill: #0969da } .other { fill: #8c959f } .dot { fill: #1f2328; fill-opacity: .55 }
  .floor { stroke: #bc4c00; stroke-width: 2 } .aim { stroke: #1a7f37; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d } .grid { stroke: #2a313c } .track { fill: #1c2128 }
    text { fill: #f0f6fc } .soft { fill: #9198a1 }
    .ours { fill: #4493f8 } .other { fill: #656c76 } .dot { fill: #f0f6fc; fill-opacity: .6 }
    .floor { stroke: #f0883e } .aim { stroke: #3fb950 }
  }"""


class Bar(NamedTuple):
    """One server's figure."""

    name: str
    value: float
    rounds: Sequence[float]
    ours: bool


class Panel(NamedTuple):
    """One figure of every server."""

    title: str
    unit: str
    better: str
    bars: Sequence[Bar]


class Share(NamedTuple):
    """How much of a limit is reached, and how much the targets would be."""

    title: str
    limit: str
    reached: float
    marks: Sequence[float]  # floor, aim


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _picture(height: float, title: str, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}\n</style>",
            f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="8" class="card"/>',
            _text(_MARGIN, 34, title, "title"),
            *parts,
            "</svg>\n",
        ]
    )


def short(value: float) -> str:
    """A number for a label."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:.2f}M"
    if value >= 10_000:
        return f"{value / 1000:.0f}k" if value >= 100_000 else f"{value / 1000:.1f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def panels(found: Sequence[Panel], title: str) -> str:
    """Two columns of panels, each with a bar for every server, and the rounds as dots."""
    column = (WIDTH - 2 * _MARGIN - _GAP) / 2
    parts: list[str] = []
    bottoms = [float(_TITLE), float(_TITLE)]
    for at, panel in enumerate(found):
        side = at % 2
        if side == 0:
            bottoms = [max(bottoms)] * 2
        left, top = _MARGIN + side * (column + _GAP), bottoms[side]
        parts += _panel(panel, left, top, column)
        bottoms[side] = top + 46 + _ROW * len(panel.bars) + 14
    return _picture(max(bottoms) + 4, title, parts)


def _panel(panel: Panel, left: float, top: float, width: float) -> list[str]:
    room = width - _LABEL - _VALUE
    largest = max(max([bar.value, *bar.rounds]) for bar in panel.bars)
    parts = [
        _text(left, top + 14, panel.title, "head"),
        _text(left, top + 31, f"{panel.unit}, {panel.better} is better", "soft"),
    ]
    for at, bar in enumerate(panel.bars):
        y = top + 42 + at * _ROW
        long = max(1.5, bar.value / largest * room)
        kind = "ours" if bar.ours else "other"
        parts.append(_text(left + _LABEL - 8, y + 12, bar.name, "head" if bar.ours else "", "end"))
        parts.append(
            f'<rect x="{left + _LABEL:.1f}" y="{y:.1f}" width="{long:.1f}" height="16" rx="2" class="{kind}"/>'
        )
        dots = [left + _LABEL + each / largest * room for each in bar.rounds] if len(bar.rounds) > 1 else []
        parts += [f'<circle cx="{x:.1f}" cy="{y + 8:.1f}" r="2" class="dot"/>' for x in dots]
        end = max([left + _LABEL + long, *dots])
        parts.append(_text(end + 7, y + 12, short(bar.value), "head" if bar.ours else ""))
    return parts


def shares(found: Sequence[Share], title: str) -> str:
    """A bar for each row on a scale up to the limit; the targets as marks where they are below it."""
    left, room = _MARGIN + _SHARE_LABEL, WIDTH - 2 * _MARGIN - _SHARE_LABEL - 52
    bottom = _TITLE + 24 + 40 * len(found)
    parts = []
    for per_cent in range(0, 101, 25):
        x = left + per_cent / 100 * room
        parts.append(f'<line x1="{x:.1f}" y1="{_TITLE + 8}" x2="{x:.1f}" y2="{bottom}" class="grid"/>')
        parts.append(_text(x, _TITLE, f"{per_cent}%", "soft", "middle"))
    for at, row in enumerate(found):
        y = _TITLE + 22 + at * 40
        parts.append(_text(left - 12, y + 8, row.title, "head", "end"))
        parts.append(_text(left - 12, y + 24, f"of {row.limit}", "soft", "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{room}" height="18" rx="2" class="track"/>')
        long = max(1.5, min(1.0, row.reached) * room)
        parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="18" rx="2" class="ours"/>')
        for kind, mark in zip(("floor", "aim"), row.marks, strict=False):
            if mark <= 1:
                x = left + mark * room
                parts.append(f'<line x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + 21}" class="{kind}"/>')
        parts.append(_text(WIDTH - _MARGIN, y + 14, f"{row.reached * 100:.0f}%", "head", "end"))
    for kind, x in (("floor", left), ("aim", left + 56)):
        parts.append(f'<line x1="{x}" y1="{bottom + 8}" x2="{x}" y2="{bottom + 21}" class="{kind}"/>')
        parts.append(_text(x + 8, bottom + 18, kind, "soft"))
    return _picture(bottom + 34, title, parts)
