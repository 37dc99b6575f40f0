"""Can a picture of class evidence be believed? It is held against the network that it is about.

Three questions, asked of one clip. Does the class's probability fall when the places that the picture names are held
still, and rise when only those move (deletion and insertion; Petsiuk et al., 2018)? Does the picture change
when the network's weights are drawn at random (Adebayo et al., 2018)? Does another class have another picture?

To hold a place still is to show it, for the span of one feature frame, as it is in the clip's middle picture. That
takes its motion and nothing else; with every place held the clip is one picture all the time. A blurred or a grey patch
is something that the network has never seen, and its edges are new motion.

Legend: S fractions of the clip, T feature frames, h x w cells of the map, a place being one cell of one feature frame.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sifa_core.explain.analysis import Analysis, Target
from sifa_core.explain.baselines import frame_difference, to_cells
from sifa_core.explain.class_evidence import (
    DEFAULT_METHOD,
    FROZEN,
    GRADIENT_METHODS,
    motion_path,
    score,
    stage_gradients,
)
from sifa_core.explain.scores import rank_correlation
from sifa_core.models import VideoModel

Floats = NDArray[np.float64]

FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
"""Of all places, how many are held still (deletion) or move (insertion)."""
NAMED = FRACTIONS.index(0.1)
"""The fraction that sentences speak of."""
ORDERS = ("evidence", "random", "frame_difference")
"""What places are ranked by: the picture itself, chance, and how much the picture changes there (no network)."""
BATCH = 8
"""Clips in one forward."""

LEAST_CERTAIN = 0.25
"""Probability of the class below which there is hardly a decision to explain."""
LEAST_AT_STAKE = 0.1
"""How much of the probability must rest on motion: with less to lose, no order can be told from another."""
LEAST_GAIN = 0.1
"""How far the picture must be ahead of chance in each curve, on average, as a fraction of what is at stake."""
SAME_PICTURE = 0.85
"""Rank correlation from which two pictures are nearly the same."""

LITTLE = "There is little to believe"
UNTRAINED = f"{LITTLE}: this network has not been trained, so it decides nothing."


@dataclass(frozen=True)
class Faithfulness:
    """What became of one picture of class evidence. Made by `faithfulness`."""

    method: str
    """A key of `class_evidence.METHODS`."""
    layer: str
    """The stage whose feature map the picture is of, e.g. "res3"."""
    target: int
    """The class that the evidence is for, and
    the class that it is against, if any: then probabilities are those of `target` among the two."""
    against: int | None
    fractions: Floats
    """[S], 0..1, of all places; first 0, last 1."""
    deletion: dict[str, Floats]
    """By a name in ORDERS: probability [S] with that fraction of places held still, first in the order first."""
    insertion: dict[str, Floats]
    """The same with only that fraction of places moving."""
    randomised: dict[str, float]
    """How deep the weights are drawn at random, from the head down ("head", a stage, "stem" for all) -> rank
    correlation of the picture then with the original. Empty for occlusion, which would take too long."""
    other_class: tuple[str, float] | None
    """The most probable class beside those compared, and its picture's rank correlation with this one. None if there is
    no such class, and for occlusion."""
    faithful: bool
    """Whether the picture passes: see `verdict`."""
    verdict: list[str]
    """The same in sentences, the first of them the headline."""

    def drop(self, order: str = "evidence") -> float:
        """How much probability is lost when the first tenth of the places is held still."""
        curve = self.deletion[order]
        return float(curve[0] - curve[NAMED])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = asdict(self)
        plain["fractions"] = self.fractions.tolist()
        for name in ("deletion", "insertion"):
            plain[name] = {order: curve.tolist() for order, curve in plain[name].items()}
        plain["other_class"] = self.other_class and dict(zip(("label", "correlation"), self.other_class, strict=True))
        return plain


def faithfulness(
    analysis: Analysis,
    *,
    layer: str | None = None,
    target: Target = None,
    against: Target = None,
    method: str | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Faithfulness:
    """Hold the picture `analysis.class_evidence(layer, target, method, against)` against the network.

    32 forwards of the clip, and four forwards and backwards of its motion path. `seed` draws the random order and the
    random weights; `progress` is told how much is done, 0..1, and what is done next.

    Raises QueryError as `class_evidence` does.
    """
    tell = progress or (lambda done, step: None)
    method = DEFAULT_METHOD if method is None else method
    tell(0.0, "Looking for the evidence")
    picture = analysis.evidence_cells(layer, target, method, against)
    stage = analysis.evidence_stage(layer, method)
    classes = analysis.target_index(target), None if against is None else analysis.target_index(against)
    rng = np.random.default_rng(seed)
    places = ranked_places(analysis, picture, rng)
    curves = _curves(analysis, places, classes, lambda done: tell(0.1 + 0.5 * done, "Holding places still"))
    randomised: dict[str, float] = {}
    other: tuple[str, float] | None = None
    if method in GRADIENT_METHODS:  # occlusion would take a minute for each
        for number, (depth, changed) in enumerate(randomised_models(analysis.model, seed)):
            tell(0.6 + 0.1 * number, "Drawing the network's weights at random")
            randomised[depth] = rank_correlation(picture, _picture(analysis, changed, stage, method, classes))
        tell(0.9, "Asking for another class")
        following = _next_class(analysis, classes)
        if following is not None:
            theirs = analysis.evidence_cells(stage, following, method, against)
            other = analysis.info.labels[following], rank_correlation(picture, theirs)
    tell(1.0, "Done")
    faithful, verdict = _judge(analysis, classes, *curves, randomised, other)
    return Faithfulness(
        method, stage, *classes, np.array(FRACTIONS), *curves, randomised, other, faithful=faithful, verdict=verdict
    )


def ranked_places(analysis: Analysis, picture: NDArray[np.float32], rng: np.random.Generator) -> dict[str, Floats]:
    """For every order, the fraction of all places that come before each place, [T, h, w], 0..1."""
    frames, rows, columns = picture.shape
    chance = rng.random((2, *picture.shape))
    stride, pictures = analysis.model.temporal_stride, analysis.clip.frames
    change = np.stack(
        [to_cells(frame_difference(pictures, t * stride, (t + 1) * stride), rows, columns) for t in range(frames)]
    )
    found = {}
    for order, values in zip(ORDERS, (picture, chance[1], change), strict=True):
        flat = np.lexsort((chance[0].ravel(), -values.ravel()))  # equal places in a random order
        before = np.empty(flat.size)
        before[flat] = np.arange(flat.size) / flat.size
        found[order] = before.reshape(picture.shape)
    return found


def _curves(
    analysis: Analysis, places: dict[str, Floats], classes: tuple[int, int | None], done: Callable[[float], None]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Deletion and insertion by order. Their ends are the clip itself and the clip with every place held still."""
    video = analysis.video
    still = motion_path(video, analysis.frame_index)[FROZEN : FROZEN + 1]
    inner = FRACTIONS[1:-1]
    tested = [video, still]
    for before in places.values():
        for base, top in ((video, still), (still, video)):
            tested += [held_where(before, fraction, base, top) for fraction in inner]
    found: list[float] = []
    with torch.no_grad():
        for start in range(0, len(tested), BATCH):
            done(start / len(tested))
            found += _probability(analysis.model(torch.cat(tested[start : start + BATCH])), *classes)
    moving, held = found[:2]
    pairs = np.array(found[2:]).reshape(len(places), 2, len(inner))
    deletion = {order: np.array([moving, *pair[0], held]) for order, pair in zip(places, pairs, strict=True)}
    insertion = {order: np.array([held, *pair[1], moving]) for order, pair in zip(places, pairs, strict=True)}
    return deletion, insertion


def held_where(before: Floats, fraction: float, video: Tensor, stand_in: Tensor) -> Tensor:
    """`video` (1, 3, N, H, W) with `stand_in`, of the same shape, at the first `fraction` of all places.

    `before` [T, h, w] is one order of `ranked_places`.
    """
    frame, row, column = (
        np.arange(side) * count // side for side, count in zip(video.shape[2:], before.shape, strict=True)
    )
    chosen = (before < fraction)[frame][:, row][:, :, column]
    return torch.where(torch.from_numpy(chosen).to(video.device)[None, None], stand_in, video)


def _probability(logits: Tensor, target: int, against: int | None) -> list[float]:
    """Probability of `target` among all classes, or among it and `against`; logits [N, classes]."""
    if against is None:
        return logits.float().softmax(1)[:, target].tolist()
    return score(logits.float(), target, against).sigmoid().tolist()


def randomised_models(model: VideoModel, seed: int = 0) -> Iterator[tuple[str, VideoModel]]:
    """The model with ever more weights drawn at random, normal, with each parameter's own mean and spread.

    Yields how deep, from the head down, and a copy of the model, the same one each time: "head", the middle stage's
    name where there are several, and "stem" for all weights.
    """
    changed = copy.deepcopy(model)
    names = [name for name, _ in changed.named_parameters()]  # in the order of the forward
    stages = changed.stage_outputs()
    ends = [_end(changed, names, module) for module in stages.values()]
    depths = {"head": ends[-1]}
    if middle := len(ends) // 2:
        depths[list(stages)[middle]] = ends[middle - 1]
    depths["stem"] = 0
    generator = torch.Generator().manual_seed(seed)
    parameters, deepest = list(changed.parameters()), len(names)
    for depth, first in depths.items():
        with torch.no_grad():
            for parameter in parameters[first:deepest]:
                drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
                parameter.copy_(parameter.mean() + parameter.std(correction=0) * drawn)
        deepest = first
        yield depth, changed


def _end(model: nn.Module, names: Sequence[str], module: nn.Module) -> int:
    """The number of parameters of `model` up to the last one of `module`, a part of it."""
    own = {id(parameter) for parameter in module.parameters()}
    return max((number for number, name in enumerate(names, 1) if id(model.get_parameter(name)) in own), default=0)


def _picture(
    analysis: Analysis, model: VideoModel, stage: str, method: str, classes: tuple[int, int | None]
) -> NDArray[np.float32]:
    """The same picture of another network."""
    at = stage_gradients(model, motion_path(analysis.video, analysis.frame_index), *classes)[stage]
    return np.nan_to_num(GRADIENT_METHODS[method](at), posinf=0, neginf=0)


def _next_class(analysis: Analysis, classes: tuple[int, int | None]) -> int | None:
    """The most probable class that is none of `classes`; None if there is none."""
    return next((number for number in analysis.logits.argsort(descending=True).tolist() if number not in classes), None)


def _judge(
    analysis: Analysis,
    classes: tuple[int, int | None],
    deletion: dict[str, Floats],
    insertion: dict[str, Floats],
    randomised: dict[str, float],
    other: tuple[str, float] | None,
) -> tuple[bool, list[str]]:
    """Whether the picture passes, and why, in sentences."""
    question = " rather than ".join(f'"{analysis.info.labels[number]}"' for number in classes if number is not None)
    moving, held = (float(deletion["evidence"][end]) for end in (0, -1))
    inside = slice(1, -1)
    gain = min(
        float((deletion["random"] - deletion["evidence"])[inside].mean()),
        float((insertion["evidence"] - insertion["random"])[inside].mean()),
    )
    depends = not randomised or randomised["stem"] < SAME_PICTURE
    objection = _objection(question, moving, held, gain, depends) if analysis.info.is_trained else UNTRAINED
    headline = objection or f"This picture can be believed: the places that it names decide about {question}."
    return not objection, [headline, *_reasons(question, deletion, insertion, randomised, other)]


def _objection(question: str, moving: float, held: float, gain: float, depends: bool) -> str:
    """Why the picture is not to be believed; empty if nothing speaks against it."""
    if moving < LEAST_CERTAIN:
        return f"{LITTLE}: the network gives {question} {_percent(moving)} only, so it has decided nothing."
    if moving - held < LEAST_AT_STAKE:
        return (
            f"{LITTLE}: with everything held still {question} has {_percent(held)} instead of {_percent(moving)}, so "
            "the answer hardly rests on motion, and where it lies cannot be tested like this."
        )
    if gain < LEAST_GAIN * (moving - held):
        return (
            f"Do not believe this picture: for {question} the places that it names matter hardly more than random ones."
        )
    if not depends:
        return "This picture tells nothing about this network: with all weights drawn at random it is nearly the same."
    return ""


def _reasons(
    question: str,
    deletion: dict[str, Floats],
    insertion: dict[str, Floats],
    randomised: dict[str, float],
    other: tuple[str, float] | None,
) -> list[str]:
    """What was measured, in sentences."""
    moving, held = deletion["evidence"][0], deletion["evidence"][-1]
    sentences = [
        f"With the tenth of the clip that the picture names held still, the probability of {question} goes from "
        f"{_percent(moving)} to {_percent(deletion['evidence'][NAMED])}; with a random tenth, to "
        f"{_percent(deletion['random'][NAMED])}, with the tenth where the picture changes most, to "
        f"{_percent(deletion['frame_difference'][NAMED])}.",
        f"When nothing but that tenth moves, it is {_percent(insertion['evidence'][NAMED])}; with a random tenth "
        f"{_percent(insertion['random'][NAMED])}, with nothing at all {_percent(held)}.",
    ]
    if randomised:
        value = randomised["stem"]
        what = "another" if value < SAME_PICTURE else "nearly the same"
        sentences.append(
            f"With all weights of the network drawn at random the picture is {what} (rank correlation {value:.2f})."
        )
    if other is not None:
        name, value = other
        sentences.append(
            f'The picture for "{name}" is nearly the same ({value:.2f}): it shows where the network looks for an '
            f"answer, not why the answer is {question}."
            if value >= SAME_PICTURE
            else f'The picture for "{name}" is another ({value:.2f}): it is about the class, too.'
        )
    return sentences


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"
