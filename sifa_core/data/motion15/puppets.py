"""Puppets: simple people and animals drawn from a skeleton, whose limbs swing as they would in walking.

A pose is drawn on a canvas of 160 x 160 pixels and halved, which smooths its edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from sifa_core.data.motion15.material import Image

CANVAS = 160
Point = tuple[float, float]


def _fabric(rng: np.random.Generator, cloth: Image) -> Image:
    """What a body part is covered with, RGBA: a piece of photograph or a shaded colour."""
    colour = rng.integers(15, 240, 3).astype(np.float32)
    if rng.random() < 0.45:
        mix = float(rng.uniform(0.0, 0.6))
        surface = cv2.addWeighted(cloth, 1 - mix, np.broadcast_to(colour, cloth.shape).astype(np.uint8), mix, 0)
    else:
        shade = np.linspace(rng.uniform(0.6, 1.0), rng.uniform(0.6, 1.0), CANVAS, dtype=np.float32)
        plain = shade[:, None, None] * colour
        grain = cloth.astype(np.float32) - cloth.mean()
        surface = np.clip(plain + grain * float(rng.uniform(0.0, 0.35)), 0, 255).astype(np.uint8)
        surface = np.broadcast_to(surface, (CANVAS, CANVAS, 3))
    return np.dstack([surface, np.full((CANVAS, CANVAS), 255, np.uint8)])


def _limb(canvas: Image, surface: Image, joints: list[Point], thickness: float) -> None:
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    points = np.rint(np.array(joints)).astype(np.int32)
    cv2.polylines(mask, [points], False, 255, max(2, int(thickness)))
    cv2.circle(mask, tuple(int(v) for v in points[-1]), max(1, int(thickness * 0.55)), 255, -1)
    cv2.copyTo(surface, mask, canvas)


def _oval(canvas: Image, surface: Image, centre: Point, radii: Point, angle: float = 0.0) -> None:
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    box = (tuple(int(v) for v in centre), (int(radii[0]), int(radii[1])))
    cv2.ellipse(mask, box[0], box[1], angle, 0, 360, 255, -1)
    cv2.copyTo(surface, mask, canvas)


def _bent(start: Point, angle: float, bend: float, length: float) -> list[Point]:
    """Three joints of a limb that hangs from `start`; angles in radians from straight down."""
    knee = (start[0] + length * np.sin(angle), start[1] + length * np.cos(angle))
    return [start, knee, (knee[0] + length * np.sin(angle - bend), knee[1] + length * np.cos(angle - bend))]


def puppet_poses(rng: np.random.Generator, cloth: Image, skin: Image, poses: int = 8) -> list[Image]:
    """A walk cycle of a random person or four-legged animal, RGBA premultiplied, [80,80,4] each, cropped alike.

    Args:
        rng: source of all choices.
        cloth: RGB [160,160,3], and
        skin: the same, pieces of photographs for the surfaces.
        poses: pictures in the cycle.
    """
    surfaces = [_fabric(rng, cloth if index % 2 else skin) for index in range(4)]
    phases = 2 * np.pi * np.arange(poses) / poses + rng.uniform(0, 2 * np.pi)
    draw = _person if rng.random() < 0.6 else _animal
    build = rng.uniform(0.0, 1.0, 10)
    canvases = [draw(surfaces, build, float(phase)) for phase in phases]
    seen = np.maximum.reduce([canvas[..., 3] for canvas in canvases])
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    out = []
    for canvas in canvases:
        part = cv2.copyMakeBorder(canvas[window], 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
        out.append(cv2.resize(part, (part.shape[1] // 2, part.shape[0] // 2), interpolation=cv2.INTER_AREA))
    return out


def _person(surfaces: list[Image], build: np.ndarray, phase: float) -> Image:
    canvas = np.zeros((CANVAS, CANVAS, 4), np.uint8)
    middle, lean = CANVAS / 2, (build[0] - 0.5) * 14
    hip, neck = (middle, 84.0), (middle + lean, 42.0)
    swing, arms = 0.25 + 0.55 * build[1], 0.2 + 0.8 * build[2]
    leg, arm = 26 + 6 * build[3], 17 + 5 * build[4]
    thick = 9 + 8 * build[5]
    bob = 2.5 * abs(np.sin(phase))
    hip, neck = (hip[0], hip[1] - bob), (neck[0], neck[1] - bob)
    shirt, trousers, face, other = surfaces

    def limb_pair(side: float) -> tuple[list[Point], list[Point]]:
        turn = np.sin(phase) * side
        knee = 0.15 + 0.7 * build[6] * max(0.0, -np.cos(phase) * side)
        legs = _bent(hip, swing * turn, knee, leg)
        return legs, _bent((neck[0], neck[1] + 4), -arms * turn, -0.3 - 0.8 * build[7], arm)

    back_leg, back_arm = limb_pair(-1.0)
    front_leg, front_arm = limb_pair(1.0)
    _limb(canvas, other, back_arm, thick * 0.7)
    _limb(canvas, trousers, back_leg, thick)
    _limb(canvas, trousers, front_leg, thick)
    _limb(canvas, shirt, [hip, neck], thick * (1.6 + build[8]))
    head = 11 + 6 * build[9]
    _oval(canvas, face, (neck[0] + lean * 0.3, neck[1] - head * 1.1), (head * 0.85, head))
    _limb(canvas, other if build[8] > 0.5 else face, front_arm, thick * 0.7)
    return canvas


def _animal(surfaces: list[Image], build: np.ndarray, phase: float) -> Image:
    canvas = np.zeros((CANVAS, CANVAS, 4), np.uint8)
    fur, legs, face, other = surfaces
    half, depth = 34 + 12 * build[0], 13 + 13 * build[1]
    bob = 2 * np.sin(2 * phase)
    middle = (CANVAS / 2 - 4, 80.0 + bob)
    length, thick = 10 + 13 * build[2], 6 + 7 * build[3]
    swing = 0.25 + 0.5 * build[4]

    def leg(x: float, shift: float) -> list[Point]:
        return _bent((x, middle[1] + depth * 0.4), swing * np.sin(phase + shift), 0.35 * np.cos(phase + shift), length)

    hind, fore = middle[0] - half * 0.7, middle[0] + half * 0.7
    _limb(canvas, other, leg(hind, np.pi), thick)
    _limb(canvas, other, leg(fore, 0.0), thick)
    tail = _bent((middle[0] - half, middle[1]), -1.2 - 0.5 * np.sin(phase), -0.6 * build[5], 10 + 8 * build[6])
    _limb(canvas, other, tail, 3 + 5 * build[7])
    _oval(canvas, fur, middle, (half, depth), angle=8 * (build[8] - 0.5))
    crown = (middle[0] + half + 9, middle[1] - depth * (0.4 + 1.3 * build[9]) + 1.5 * np.sin(phase))
    _limb(canvas, fur, [(fore, middle[1]), crown], depth * 0.8)
    _oval(canvas, face, crown, (13, 9 + 4 * build[5]), angle=20)
    _limb(canvas, legs, leg(hind + 5, 0.0), thick)
    _limb(canvas, legs, leg(fore + 5, np.pi), thick)
    return canvas
