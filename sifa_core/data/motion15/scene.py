"""Puts a plan into pictures: the background, the moving object, and things that stand still around it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from sifa_core.data.motion15.geometry import CameraPath, Floats, ObjectPath, shift
from sifa_core.data.motion15.layers import SOLID, Layer, draw_frame, draw_sprite
from sifa_core.data.motion15.material import Image, Material, load_photo, pyramid
from sifa_core.data.motion15.motions import Plan
from sifa_core.data.motion15.sprites import Sprite, choose_sprite

PLAIN_FRACTION = 0.1
"""Fraction of clips before a made-up background of clouds instead of a photograph."""
MOST_ENLARGED = 1.8
"""A photograph is not enlarged beyond this unless there is no other way."""
LEAST_TEXTURE = 9.0
"""Standard deviation of grey levels that a background should show, so that its motion can be seen."""


NEAREST = 0.4
"""Log of how much faster than the background the nearest things move past a moving camera."""
LEAST_CONTRAST = 16.0
"""Mean difference in grey levels between the moving object and what lies behind it, before the camera's own losses."""


def _smear(place: Floats, ahead: Floats, middle: Floats, shutter: float) -> Floats:
    """[T, 2]: how far the layer's centre moves while the shutter is open; `ahead` is one frame later."""
    return shutter * ((ahead - place) @ middle)[:, :2]


def _viewed(plan: Plan, height: int, width: int) -> tuple[Floats, Floats]:
    """Smallest and largest world coordinates that any frame shows."""
    corners = np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1.0]])
    inverse = np.linalg.inv(plan.camera.view(plan.times))
    seen = (inverse @ corners)[:, :2]
    return seen.min(axis=(0, 2)) - 2, seen.max(axis=(0, 2)) + 2


def _clouds(rng: np.random.Generator, height: int, width: int) -> Image:
    """A made-up background: smooth noise at several scales between two colours."""
    total = np.zeros((height, width), np.float32)
    for octave in range(2, 7):
        grid = rng.standard_normal((2**octave, 2**octave)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * float(rng.uniform(0.2, 1)) / octave
    mix = ((total - total.min()) / max(float(np.ptp(total)), 1e-6))[..., None]
    first = rng.uniform(0, 255, 3).astype(np.float32)
    step = rng.uniform(60, 140, 3).astype(np.float32)
    second = np.where(first < 128, first + step, first - step)
    return (mix * first + (1 - mix) * second).astype(np.uint8)


def _fit(rng: np.random.Generator, levels: tuple[Image, ...], low: Floats, high: Floats) -> tuple[Floats, float]:
    """A random placement of a photograph that covers the viewed world: picture -> world, and how much it enlarges."""
    rows, columns = levels[0].shape[:2]
    need = high - low
    least = float(max(need[0] / (columns - 2), need[1] / (rows - 2)))
    most = max(least, min(1.2, 3.0 * least))
    scale = float(np.exp(rng.uniform(np.log(least), np.log(most))))
    slack = np.array([columns, rows]) * scale - need
    corner = low - rng.random(2) * slack
    return np.array([[scale, 0, corner[0]], [0, scale, corner[1]], [0, 0, 1.0]]), least


def _texture(levels: tuple[Image, ...], place: Floats, view: Floats, height: int, width: int) -> float:
    """Standard deviation of what a frame would show, from a small draft."""
    draft = np.diag([0.25, 0.25, 1.0]) @ view @ place
    level = min(2, len(levels) - 1)
    draft = draft @ np.diag(
        [levels[0].shape[1] / levels[level].shape[1], levels[0].shape[0] / levels[level].shape[0], 1]
    )
    shown = cv2.warpAffine(levels[level], draft[:2], (width // 4, height // 4), flags=cv2.INTER_AREA)
    return float(shown.mean(axis=2).std())


def make_background(
    rng: np.random.Generator, files: Material, plan: Plan, height: int, width: int, shutter: float
) -> tuple[Layer, str]:
    """The background and the name of its picture."""
    low, high = _viewed(plan, height, width)
    views = plan.camera.view(plan.times)
    wide = (high - low)[0] > 2.2 * (high - low)[1]
    if rng.random() < PLAIN_FRACTION:
        name = "clouds"
        need = np.ceil((high - low) / 2).astype(int) + 4
        levels = pyramid(_clouds(rng, int(need[1]), int(need[0])))
        place, _ = _fit(rng, levels, low, high)
    else:
        for _attempt in range(5):
            panorama = rng.random() < (0.6 if wide else 0.2)
            choices = files.panoramas if panorama else files.photographs
            name = choices[rng.integers(len(choices))]
            levels = load_photo(name)
            place, enlarged = _fit(rng, levels, low, high)
            if rng.random() < 0.5:
                place = shift(low[0] + high[0], 0) @ np.diag([-1.0, 1.0, 1.0]) @ place
            if enlarged <= MOST_ENLARGED and _texture(levels, place, views[0], height, width) >= LEAST_TEXTURE:
                break
    to_frame = views @ place
    ahead = plan.camera.view(plan.times + 1) @ place
    centre = np.linalg.inv(to_frame) @ np.array([width / 2, height / 2, 1.0])
    smear = shutter * np.einsum("tij,tj->ti", ahead - to_frame, centre)[:, :2]
    moves = plan.label.startswith("camera")
    return Layer((levels,), np.zeros(len(views), np.int64), to_frame, smear, moves), name


def place_sprite(
    sprite: Sprite,
    path: ObjectPath,
    camera: CameraPath,
    times: Floats,
    shutter: float,
    *,
    rate: float = 0.0,
    mirrored: bool = False,
    moves: bool = False,
) -> Layer:
    """A sprite on its path as a layer; `rate` is how many pictures of its cycle go by in a frame."""
    width, height = sprite.size
    local = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0]) @ shift(-(width - 1) / 2, -(height - 1) / 2)
    to_frame = camera.view(times) @ path.place(times) @ local
    ahead = camera.view(times + 1) @ path.place(times + 1) @ local
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    shown = np.floor(times * rate + 1e3).astype(np.int64) % len(sprite.cycle)
    return Layer(sprite.cycle, shown, to_frame, _smear(to_frame, ahead, middle, shutter), moves)


def make_layers(
    rng: np.random.Generator,
    files: Material,
    plan: Plan,
    background: Layer,
    height: int,
    width: int,
    difficulty: float,
    shutter: float,
) -> tuple[list[Layer], str | None]:
    """Everything in front of the background, from back to front, and the kind of the moving object."""
    short = min(height, width)
    behind = [_bystander(rng, files, plan, short, shutter) for _ in range(rng.binomial(3, 0.45 * difficulty))]
    if plan.thing is None:
        return behind, None
    middle = len(plan.times) // 2
    scenery, _ = draw_frame(background, behind, middle, height, width)
    for _attempt in range(4):
        sprite = choose_sprite(rng, files, turning="turns" in plan.label)
        path = replace(plan.thing, scale=plan.size * short / max(sprite.size))
        rate, mirrored = float(rng.uniform(0.1, 0.7)), bool(rng.random() < 0.5)
        mover = place_sprite(sprite, path, plan.camera, plan.times, shutter, rate=rate, mirrored=mirrored, moves=True)
        if _contrast(mover, scenery, middle) >= LEAST_CONTRAST:
            break
    front = [_bystander(rng, files, plan, short, shutter, most=0.3) for _ in range(rng.binomial(1, 0.2 * difficulty))]
    return [*behind, mover, *front], sprite.kind


def _contrast(mover: Layer, scenery: Image, frame: int) -> float:
    """Mean absolute difference between the object and the scenery that it covers; infinite while out of view."""
    part = draw_sprite(mover, frame, *scenery.shape[:2])
    if part is None:
        return float("inf")
    sprite, left, top = part
    solid = sprite[..., 3] >= SOLID
    covered = scenery[top : top + sprite.shape[0], left : left + sprite.shape[1]]
    difference = cv2.absdiff(sprite[..., :3], np.ascontiguousarray(covered))[solid]
    return float(difference.mean()) if solid.any() else float("inf")


def _bystander(
    rng: np.random.Generator, files: Material, plan: Plan, short: int, shutter: float, most: float = 0.6
) -> Layer:
    """A thing that belongs to the background and moves only as the camera makes it.

    Where the camera moves it may stir in its place, and be nearer than the background and so move more.
    """
    camera, rate = plan.camera, 0.0
    if plan.label.startswith("camera"):
        near = float(np.exp(rng.uniform(0.0, NEAREST))) if rng.random() < 0.5 else 1.0
        velocity = (camera.velocity[0] * near, camera.velocity[1] * near)
        camera = replace(camera, velocity=velocity, zoom_rate=camera.zoom_rate * near)
        rate = float(rng.uniform(0.1, 0.7)) if rng.random() < 0.3 else 0.0
    sprite = choose_sprite(rng, files, still=rate == 0.0)
    size = float(np.exp(rng.uniform(np.log(0.1), np.log(most)))) * short
    moment = plan.times[[rng.integers(len(plan.times))]]
    frame = np.append(rng.uniform(0.05, 0.95, 2) * 2 * np.array(plan.camera.centre), 1.0)
    spot = np.linalg.inv(camera.view(moment)[0]) @ frame
    path = ObjectPath(
        (float(spot[0]), float(spot[1])), size / max(sprite.size), angle=float(np.deg2rad(rng.normal(0, 15)))
    )
    return place_sprite(sprite, path, camera, plan.times, shutter, rate=rate, mirrored=rng.random() < 0.5)
