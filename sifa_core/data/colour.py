"""Colours of high dynamic range and wide gamut, brought to what an ordinary screen shows: SDR, BT.709.

Numbers of transfers and primaries are those of ITU-T H.273. "Light" is linear and 1 at diffuse white, the 203 cd/m2 of
ITU-R BT.2408. Everything is a function of one pixel, so a frame looks the same whatever is read with it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18
_BT2020, _DISPLAY_P3 = 9, 12
_SDR_GAMMA = 2.4
_WHITE = 203.0
_HLG_PEAK = 1000.0
_KNEE = 0.8
"""Light up to which tone mapping changes nothing; what is brighter rolls off towards 1."""

_TO_BT709 = {
    _BT2020: np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32),
    _DISPLAY_P3: np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32),
}
"""Primaries -> matrix on light (ITU-R BT.2087; SMPTE EG 432-1)."""
_UNUSUAL = {8: "linear light", 9: "a logarithmic curve", 10: "a logarithmic curve", 17: "the curve of digital cinema"}


def dynamic_range(transfer: int) -> str:
    """ "SDR", "HDR (PQ)" or "HDR (HLG)"."""
    return {PQ: "HDR (PQ)", HLG: "HDR (HLG)"}.get(transfer, "SDR")


def unusual_transfer(transfer: int) -> str:
    """What a transfer that is shown as if it were an ordinary one stands for; empty for those that are honoured."""
    return _UNUSUAL.get(transfer, "")


def needs_mapping(transfer: int, primaries: int) -> bool:
    """Whether an ordinary screen would show the stored numbers wrongly."""
    return transfer in (PQ, HLG) or primaries in _TO_BT709


def to_sdr(picture: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """uint8 [H, W, 3], BT.709 with gamma 2.4, of uint16 [H, W, 3] R'G'B' (65535 is full signal)."""
    light = _light(transfer if transfer in (PQ, HLG) else 0)[picture]
    if transfer == HLG:
        # The system gamma of a display with a peak of 1,000 cd/m2, on the luminance of the scene.
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (cv2.pow(np.maximum(luminance, 1e-6), 0.2) * np.float32(_HLG_PEAK / _WHITE))[..., None]
    matrix = _TO_BT709.get(primaries, _TO_BT709[_BT2020])
    light = np.maximum(light @ matrix.T, 0.0)
    if transfer in (PQ, HLG):
        # The brightest channel decides for all three, so that hues stay.
        brightest = light.max(axis=-1)
        above = np.maximum(brightest - _KNEE, 0.0)
        rolled = np.minimum(brightest, _KNEE) + (1 - _KNEE) * above / (above + (1 - _KNEE))
        light *= (rolled / np.maximum(brightest, 1e-6))[..., None]
    signal: Any = cv2.pow(np.minimum(light, 1.0), 1 / _SDR_GAMMA)
    return (signal * 255.0 + 0.5).astype(np.uint8)


@cache
def _light(transfer: int) -> NDArray[np.float32]:
    """[65536] light of every signal; for HLG that of the scene, from 0 to 1."""
    signal = np.arange(65536) / 65535
    if transfer == PQ:  # SMPTE ST 2084
        power = signal ** (32 / 2523)
        nits = 10000 * (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305)
        return (nits / _WHITE).astype(np.float32)
    if transfer == HLG:  # ITU-R BT.2100
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)
    return (signal**_SDR_GAMMA).astype(np.float32)
