"""The picture of a process: stages from top to bottom, what moves an item on, tasks beside, decline below; as SVG."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 760
STAGE_X, STAGE_W = 46, 292
SLIP_X, SLIP_W = 396, 352
RAIL_X, TRUNK_X, LEAD_X = 18, 352, 372
NOTE_X = 362
BEND = 10
INK, SOFT, LINE, LEAD, FAIL = "#1f3347", "#46586a", "#8a9bab", "#2f6b00", "#b3261e"
LETTER = 0.6
"""The mean width of a letter in font sizes, on the wide side: the reader's font is not known here."""


@dataclass(frozen=True)
class Slip:
    """A task beside its stage; `leads_to` is the key of the stage that closing it leads to."""

    title: str
    note: str
    leads_to: str = ""


@dataclass(frozen=True)
class Box:
    """A stage on the way to success; `onward` says what moves an item to the next one."""

    key: str
    name: str
    color: str
    declines: bool
    onward: str = ""
    slips: tuple[Slip, ...] = ()


@dataclass(frozen=True)
class End:
    """A failing stage, with what becomes of the client, by reasons."""

    name: str
    color: str
    notes: tuple[str, ...] = ()


def draw(boxes: Sequence[Box], ends: Sequence[End], *, title: str, description: str) -> Markup:
    """Returns the picture, with its words for those who do not see it."""
    sheet = _Sheet()
    for box, after in zip(boxes, (*boxes[1:], None), strict=True):
        sheet.stage(box, last=after is None)
    sheet.ends(ends)
    sheet.lead_lines()
    return Markup(  # noqa: S704 every text in it went through escape
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {sheet.y:.0f}" role="img" class="flow">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(sheet.drawn)}</svg>"
    )


class _Sheet:
    """Where the pen stands, and what was drawn."""

    def __init__(self) -> None:
        self.y = 4.0
        self.drawn: list[str] = []
        self.tops: dict[str, float] = {}
        self.declines: list[float] = []
        self.leads: list[tuple[float, str]] = []

    def stage(self, box: Box, *, last: bool) -> None:
        top = self.y
        lines = _wrapped(box.name, STAGE_W - 40, 16.5)
        height = 26 + 21 * len(lines)
        bottom = top + height
        self._box(STAGE_X, top, STAGE_W, height, box.color)
        self._text(STAGE_X + 24, top + 30, lines, 16.5, 21, INK, bold=True)
        self.tops[box.key] = top
        if box.declines:
            self.declines.append(top + height / 2)
        slips_end = self._slips(box.slips, top, bottom - 14)
        if last or not box.onward:
            self.y = max(bottom, slips_end) + 26
            return
        onward = _wrapped(box.onward, STAGE_W - 60, 12.5)
        end = max(bottom + 22 + 17 * len(onward), slips_end + 14)
        x = STAGE_X + 30
        self._line(f"M{x} {bottom:.1f}V{end - 3:.1f}", INK, 2)
        self._arrow(x, end, "down", INK)
        self._text(x + 16, bottom + 22, onward, 12.5, 17, SOFT)
        self.y = end

    def _slips(self, slips: Sequence[Slip], top: float, first: float) -> float:
        y = top
        for number, slip in enumerate(slips):
            title, note = _wrapped(slip.title, SLIP_W - 44, 13.5), _wrapped(slip.note, SLIP_W - 44, 12)
            tall = 16 + 18 * len(title) + 16 * len(note)
            way = f"H{SLIP_X}" if number == 0 else f"M{TRUNK_X} {first:.1f}V{y + 20:.1f}H{SLIP_X}"
            self._line(f"M{STAGE_X + STAGE_W} {first:.1f}{way}" if number == 0 else way, LINE, 1.5, dotted=True)
            self._box(SLIP_X, y, SLIP_W, tall)
            tick = f"M{SLIP_X + 12} {y + 13:.1f}h12v12h-12zM{SLIP_X + 15} {y + 19:.1f}l3 3 5-6"
            self._line(tick, LEAD if slip.leads_to else LINE, 1.5)
            self._text(SLIP_X + 34, y + 23, title, 13.5, 18, INK, bold=True)
            self._text(SLIP_X + 34, y + 22 + 18 * len(title), note, 12, 16, SOFT)
            if slip.leads_to:
                self.leads.append((y + tall - 10, slip.leads_to))
            y += tall + 10
        return y - 10 if slips else top

    def ends(self, ends: Sequence[End]) -> None:
        """Draws the failing stages, and the way to them from every stage that may be declined."""
        rail = self.declines[0] if self.declines else 0.0
        for end in ends:
            lines = _wrapped(end.name, STAGE_W - 40, 15)
            height = 24 + 19 * len(lines)
            self._box(STAGE_X, self.y, STAGE_W, height, end.color)
            self._text(STAGE_X + 24, self.y + 28, lines, 15, 19, INK, bold=True)
            wrapped = [_wrapped(note, WIDTH - NOTE_X, 12) for note in end.notes]
            count = sum(map(len, wrapped))
            y = self.y + (height / 2 - 8 * (count - 1) + 4 if 16 * count <= height else 16)
            for note in wrapped:
                self._text(NOTE_X, y, note, 12, 16, SOFT)
                if len(wrapped) > 1:
                    self.drawn.append(f'<circle cx="{NOTE_X - 9}" cy="{y - 4:.1f}" r="2.2" fill="{SOFT}"/>')
                y += 16 * len(note) + (3 if len(wrapped) > 1 else 0)
            if self.declines:
                middle = self.y + height / 2
                self._line(f"M{RAIL_X} {rail:.1f}V{middle:.1f}H{STAGE_X - 4}", FAIL, 1.5, dotted=True)
                self._arrow(STAGE_X, middle, "right", FAIL)
                rail = middle
            self.y = max(self.y + height, y - 8) + 12
        if ends:
            for middle in self.declines:
                self._line(f"M{STAGE_X} {middle:.1f}H{RAIL_X}", FAIL, 1.5, dotted=True)

    def lead_lines(self) -> None:
        """Draws the way from a task to the stage that closing it leads to; several come in below each other."""
        into: dict[str, int] = defaultdict(int)
        right = STAGE_X + STAGE_W
        for y, key in self.leads:
            if key in self.tops:
                at = self.tops[key] + min(12 + 8 * into[key], 28)
                into[key] += 1
                self._line(
                    f"M{SLIP_X} {y:.1f}H{LEAD_X + BEND}q-{BEND} 0-{BEND} {BEND}V{at - BEND:.1f}"
                    f"q0 {BEND}-{BEND} {BEND}H{right + 4}",
                    LEAD,
                    2,
                )
                self._arrow(right, at, "left", LEAD)

    def _text(
        self, x: float, y: float, lines: Iterable[str], size: float, step: float, color: str, *, bold: bool = False
    ) -> None:
        look = f'font-size="{size}" fill="{color}"' + (' font-weight="600"' if bold else "")
        self.drawn += (
            f'<text x="{x:.1f}" y="{y + step * place:.1f}" {look}>{escape(line)}</text>'
            for place, line in enumerate(lines)
        )

    def _box(self, x: float, y: float, width: float, height: float, color: str = "") -> None:
        place = f'x="{x}" y="{y:.1f}" height="{height:.1f}"'
        look = f'fill="{color}" fill-opacity=".14" stroke="{color}"' if color else f'fill="#fff" stroke="{LINE}"'
        self.drawn.append(f'<rect {place} width="{width}" rx="7" {look} stroke-width="1.5"/>')
        if color:
            self.drawn.append(f'<rect {place} width="10" rx="4" fill="{color}"/>')

    def _line(self, path: str, color: str, width: float, *, dotted: bool = False) -> None:
        dots = ' stroke-dasharray="4 4"' if dotted else ""
        self.drawn.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width}"{dots}/>')

    def _arrow(self, x: float, y: float, way: str, color: str) -> None:
        corners = {"down": "l-6-9h12z", "left": "l9-6v12z", "right": "l-9-6v12z"}[way]
        self.drawn.append(f'<path d="M{x:.1f} {y:.1f}{corners}" fill="{color}"/>')


def _wrapped(text: str, width: float, size: float) -> list[str]:
    return textwrap.wrap(text, max(8, int(width / (size * LETTER))), break_long_words=True)
