"""Turns a stored video frame into the picture that a player shows: RGB, upright, square pixels, not too large."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from sifa_core.data.colour import needs_mapping, to_sdr
from sifa_core.data.cropping import NO_CROP, Crop

# Matrix coefficients in the numbers of ITU-T H.273, which files use and the scaler understands, synonyms merged.
_BT709, _BT601, _BT2020 = 1, 5, 9
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: _BT2020, 10: _BT2020}
# Exact rounding and full chroma resolution: these few frames are looked at closely. Where a picture is made smaller in
# one step, for training, averaging areas is right, and cheaper where its size stays.
# The last two are libswscale's own numbers, which PyAV has names for only from version 18 on.
_QUALITY = int(Interpolation.BICUBIC) | 0x40000 | 0x2000
_REDUCING = int(Interpolation.AREA) | 0x40000 | 0x2000


@dataclass(frozen=True)
class Presentation:
    """How the frames of one video are to be shown."""

    shown_width: int
    """Full size as shown, after pixel-shape correction and rotation."""
    shown_height: int
    width: int
    """Size of the pictures that are made."""
    height: int
    transpose: bool
    flip_x: bool
    flip_y: bool
    rotation: int
    """Degrees clockwise: 0, 90, 180 or 270."""
    crop: Crop = NO_CROP
    """Left out of the stored picture before anything else."""
    in_one_step: bool = False
    """Bring pictures to their size while their colours are converted, where nothing stands in between: within a grey
    level of the result of two steps, and less than half the work. For training."""

    def reduced(self, max_short_side: int) -> Presentation:
        """The same with pictures of at most this short side."""
        scale = min(1.0, max_short_side / min(self.width, self.height))
        return replace(self, width=max(1, round(self.width * scale)), height=max(1, round(self.height * scale)))

    def short_side_within(self, frame_bytes: int) -> int:
        """The largest short side, at most this one, at which an RGB picture takes no more than `frame_bytes`."""
        short, long = sorted((self.width, self.height))
        side = short if 3 * short * long <= frame_bytes else math.isqrt(int(frame_bytes / (3 * long / short)))
        return max(1, side - (3 * side * round(long * side / short) > frame_bytes))


def presentation(
    frame: av.VideoFrame,
    pixel_aspect: Fraction | None,
    max_short_side: int,
    crop: Crop = NO_CROP,
    *,
    in_one_step: bool = False,
) -> Presentation:
    """Read size, pixel shape and display matrix of a video's first frame; `crop` counts where it leaves something."""
    aspect = float(pixel_aspect) if pixel_aspect else 1.0
    # Values far from square come from damaged headers.
    if not 0.1 <= aspect <= 10.0:
        aspect = 1.0
    crop = crop if crop.fits(frame.width, frame.height) else NO_CROP
    width = max(1, round((frame.width - crop.left - crop.right) * max(aspect, 1.0)))
    height = max(1, round((frame.height - crop.top - crop.bottom) * max(1.0 / aspect, 1.0)))
    a, b, c, d = _display_matrix(frame)
    transpose = abs(b) > abs(a)
    if transpose:
        width, height = height, width
    scale = min(1.0, max_short_side / min(width, height))
    return Presentation(
        shown_width=width,
        shown_height=height,
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        transpose=transpose,
        flip_x=(c if transpose else a) < 0,
        flip_y=(b if transpose else d) < 0,
        rotation=round(math.degrees(math.atan2(b, a)) / 90.0) % 4 * 90,
        crop=crop,
        in_one_step=in_one_step,
    )


def to_rgb(frame: av.VideoFrame, show: Presentation, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] picture of a frame: what an ordinary screen shows, over white where it is transparent."""
    crop = show.crop
    if show.in_one_step and crop == NO_CROP and _is_plain(frame):
        width, height = (show.height, show.width) if show.transpose else (show.width, show.height)
        picture = _stored_rgb(frame, reformatter, (width, height))
    else:
        picture = _stored_rgb(frame, reformatter)
    if crop != NO_CROP and crop.fits(frame.width, frame.height):
        picture = picture[crop.top : frame.height - crop.bottom, crop.left : frame.width - crop.right]
    stored_size = (show.height, show.width) if show.transpose else (show.width, show.height)
    if (picture.shape[1], picture.shape[0]) != stored_size:
        shrinks = stored_size[0] < picture.shape[1] or stored_size[1] < picture.shape[0]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, stored_size, interpolation=method), np.uint8)
    if show.transpose:
        picture = picture.transpose(1, 0, 2)
    if show.flip_x:
        picture = picture[:, ::-1]
    if show.flip_y:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _has_alpha(frame: av.VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def _is_plain(frame: av.VideoFrame) -> bool:
    """Whether a frame's colours need neither a mapping nor a background."""
    return not _has_alpha(frame) and not needs_mapping(frame.color_trc, frame.color_primaries)


def _stored_rgb(
    frame: av.VideoFrame, reformatter: VideoReformatter, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """uint8 RGB of a frame as it is stored: not cropped or turned, and of its own (width, height) if none is given."""
    has_alpha = _has_alpha(frame)
    maps = needs_mapping(frame.color_trc, frame.color_primaries)
    # For files that do not say, what players assume: high definition is BT.709, the rest BT.601.
    usual = _BT709 if frame.height >= 720 else _BT601
    converted: Any = reformatter.reformat(
        frame,
        width=size[0] if size else None,
        height=size[1] if size else None,
        format=("rgba" if has_alpha else "rgb24") if not maps else ("rgba64le" if has_alpha else "rgb48le"),
        src_colorspace=_MATRICES.get(frame.colorspace, usual),
        dst_color_range=ColorRange.JPEG,
        interpolation=_REDUCING if size else _QUALITY,
    ).to_ndarray()
    if maps:
        colours = to_sdr(converted[..., :3].astype(np.uint16, copy=False), frame.color_trc, frame.color_primaries)
        opacity = (converted[..., 3:] >> 8).astype(np.uint8)
        converted = np.concatenate([colours, opacity], axis=-1)
    picture = np.asarray(converted, np.uint8)
    return _over_white(picture) if has_alpha else picture


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d): a stored point (p, q) is shown at (a p + c q, b p + d q), in 65536ths, y down."""
    side_data: Any = frame.side_data
    if Type.DISPLAYMATRIX not in side_data:
        return 65536, 0, 0, 65536
    matrix = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32, 9)
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    return (a, b, c, d) if a * d - b * c else (65536, 0, 0, 65536)


def _over_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = picture[..., 3:].astype(np.uint16)
    return ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
