"""The trail of a query as a short film, GIF or MP4: in every pair of frames its points move from the regular grid to
where the offsets put them; then the query goes on from there in the next frame.

Legend: P points, H x W pixels of a picture; coordinates are pixels of the clip as shown, (x, y).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.render.facts import provenance
from sifa_core.explain.studies.trail import TrailStep, trail
from sifa_core.explain.viewer.theme import LINK_COLOUR, QUERY_COLOUR, colour_table

Picture = NDArray[np.uint8]

FRAMES_PER_SECOND = 12
STILL, MOVING, SHOWN = 5, 7, 13
"""Frames of the film that a pair of frames takes: on the regular grid, while the points move, and where they arrive."""
LONGEST_PANE = 400
"""Longest side of a pane, pixels."""
SHARPNESS = 2
"""Drawn this many times as large and then reduced, for smooth edges."""
GAP, MARGIN, CAPTION, TITLE = 8, 10, 22, 26
PAPER, INK, QUIET = (255, 255, 255), (22, 25, 29), (89, 98, 109)
MARK_COLOURS = 32
"""Of a GIF's 256 colours, those reserved for the weights."""


def film(analysis: Analysis, selection: Selection) -> Iterator[Picture]:
    """The pictures of the film, uint8 [H, W, 3] with even sides, FRAMES_PER_SECOND of them a second."""
    painter = _Painter(analysis, selection)
    for step in trail(analysis, selection):
        painter.start(step)
        for number in range(STILL + MOVING + SHOWN):
            part = min(max((number - STILL + 1) / MOVING, 0.0), 1.0)
            eased = part * part * (3 - 2 * part)
            yield painter.paint(step, eased)


def gif(analysis: Analysis, selection: Selection) -> bytes:
    """The film as an animated GIF that runs for ever."""
    pictures = [Image.fromarray(picture) for picture in film(analysis, selection)]
    palette = _palette(pictures)
    reduced = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    reduced[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=reduced[1:],
        duration=1000 // FRAMES_PER_SECOND,
        loop=0,
        comment="; ".join(provenance(analysis).values()).encode(),
    )
    return buffer.getvalue()


def mp4(analysis: Analysis, selection: Selection) -> bytes:
    """The film as H.264 in MP4, which every browser and presentation plays."""
    from sifa_core.data.mp4 import write_mp4  # whoever explains need not have PyAV

    facts = provenance(analysis)
    buffer = io.BytesIO()
    metadata = {"title": facts["Title"], "comment": facts["Description"]}
    write_mp4(buffer, film(analysis, selection), FRAMES_PER_SECOND, metadata)
    return buffer.getvalue()


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """256 colours for all of the film, so that what stands still is the same in every frame and costs nothing.

    Marks are small, so their colours would be lost among those of the pictures: they are set apart.
    """
    some = pictures[:: STILL + MOVING + SHOWN]
    width, height = some[0].size
    sheet = Image.new("RGB", (width, height * len(some)))
    for number, picture in enumerate(some):
        sheet.paste(picture, (0, height * number))
    marks = [*_weight_colours(MARK_COLOURS), *map(ImageColor.getrgb, (QUERY_COLOUR, LINK_COLOUR, "white"))]
    palette = sheet.quantize(256 - len(marks))
    colours = (palette.getpalette() or [])[: 3 * (256 - len(marks))]
    palette.putpalette([*colours, *(part for colour in marks for part in colour)])
    return palette


def _weight_colours(count: int) -> list[tuple[int, int, int]]:
    """Colours of the weights, RGB, from the smallest to the largest."""
    table = colour_table("weights")
    return [(red, green, blue) for red, green, blue in table[np.linspace(0, 255, count).round().astype(int)].tolist()]


class _Painter:
    """Draws the two panes of a step; what stays the same throughout a step is drawn once."""

    def __init__(self, analysis: Analysis, selection: Selection) -> None:
        clip = analysis.clip
        self.analysis, self.selection = analysis, selection
        self.scale = min(LONGEST_PANE / max(clip.width, clip.height), 1.0)
        self.pane = max(round(clip.width * self.scale), 120), round(clip.height * self.scale)
        width, height = 2 * self.pane[0] + GAP + 2 * MARGIN, self.pane[1] + TITLE + CAPTION + 2 * MARGIN
        self.size = width + width % 2, height + height % 2
        self.top = MARGIN + TITLE + CAPTION
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.font = ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), 12 * SHARPNESS)
        self.ground = Image.new("RGB", self.size)
        self.colours = _weight_colours(256)

    def start(self, step: TrailStep) -> None:
        """Draw the frames and captions of a step."""
        clip, info, points = self.analysis.clip, self.analysis.info, step.points
        sheet = Image.new("RGB", (self.size[0] * SHARPNESS, self.size[1] * SHARPNESS), PAPER)
        draw = ImageDraw.Draw(sheet)
        t = points.query[0]
        title = f"{clip.source.name}  ·  {info.name}, {self.selection.layer}"
        asked = t == self.selection.query[0]
        here = f"Frame {t}: the query" + ("" if asked else ", carried on by attention")
        there = f"Frame {points.frame}: its {len(points.points)} sampling points"
        room = self.size[0] - 2 * MARGIN
        self._write(draw, (MARGIN, MARGIN), title, INK, room)
        self._write(draw, (self._left(0), MARGIN + TITLE), here, QUIET, self.pane[0])
        self._write(draw, (self._left(1), MARGIN + TITLE), there, QUIET, self.pane[0])
        for number, frame in enumerate((t, points.frame)):
            size = self.pane[0] * SHARPNESS, self.pane[1] * SHARPNESS
            picture = cv2.resize(self.analysis.frame(frame), size, interpolation=cv2.INTER_AREA).astype(float)
            shade = 1.0 if number == 0 else 0.65  # darker, so that the points' colours can be read
            pasted = Image.fromarray((picture * shade).astype(np.uint8))
            sheet.paste(pasted, (self._left(number) * SHARPNESS, self.top * SHARPNESS))
        self.ground = sheet

    def paint(self, step: TrailStep, part: float) -> Picture:
        """The step with its points `part` (0..1) of the way from the regular grid to where the offsets put them."""
        sheet, points = self.ground.copy(), step.points
        draw = ImageDraw.Draw(sheet)
        places = self._on_sheet(points.base + part * (points.points - points.base))
        query = self._on_sheet(np.array([points.query[1:]]))[0]
        is_there = part == 1.0
        if is_there:
            for number in points.strongest(3):
                draw.line([*query, *places[number]], LINK_COLOUR, round(1.6 * SHARPNESS))
        low, high = float(points.weights.min()), float(points.weights.max())
        fraction = (points.weights - low) / (high - low) if high > low else np.ones(len(places))
        for number in np.argsort(points.weights, kind="stable"):  # strongest on top
            fill = self.colours[round(255 * float(fraction[number]))]
            self._disc(draw, places[number], 2.2 + 2.6 * float(fraction[number]), fill, 0.6)
        self._disc(draw, query, 4.5, QUERY_COLOUR, 1.2)
        here = query - np.array([(self.pane[0] + GAP) * SHARPNESS, 0])
        self._disc(draw, here, 5.5, QUERY_COLOUR, 1.4)
        return np.asarray(sheet.resize(self.size, Image.Resampling.BOX))

    def _left(self, pane: int) -> int:
        return MARGIN + pane * (self.pane[0] + GAP)

    def _on_sheet(self, pixels: NDArray[np.floating]) -> NDArray[np.floating]:
        """Pixels of the clip [P, 2] on the sheet, in the right pane; what lies beyond the pane sits on its edge."""
        pane = np.array(self.pane)
        clip = np.array([self.analysis.clip.width, self.analysis.clip.height])
        within = np.clip((pixels + 0.5) / clip * pane, 0, pane)
        return np.asarray((within + np.array([self._left(1), self.top])) * SHARPNESS)

    def _disc(
        self, draw: ImageDraw.ImageDraw, centre: NDArray[np.floating], radius: float, fill: object, edge: float
    ) -> None:
        x, y, reach = float(centre[0]), float(centre[1]), radius * SHARPNESS
        box = (x - reach, y - reach, x + reach, y + reach)
        draw.ellipse(box, fill, "white", max(1, round(edge * SHARPNESS)))  # type: ignore[arg-type]

    def _write(
        self, draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, colour: tuple[int, int, int], room: int
    ) -> None:
        """One line of text, cut where there is no more room."""
        line = " ".join(text.split())
        while len(line) > 1 and draw.textlength(line, self.font) > room * SHARPNESS:
            line = line[:-2] + "…"
        draw.text((place[0] * SHARPNESS, place[1] * SHARPNESS), line, colour, self.font)
