"""What is wrong with a model's offsets and attention on a clip, in words, and what to try.

Every threshold is a constant below with its reason. A diagnostic is about one clip: look at
several before you believe it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sifa_core.explain.analysis import Analysis
from sifa_core.explain.statistics import regular_out_of_frame
from sifa_core.layers import SIFA
from sifa_core.layers.offset_estimators import RegularGrid

DEAD_OFFSET = 0.01
"""Cells. Where no offset is longer, bilinear reading changes values by a hundredth of the step between two cells."""
STUCK_FRACTION = 0.05
"""Spread of offsets over places and frames, as a fraction of their mean length, below which they ignore the picture."""
OUT_OF_FRAME_EXCESS = 0.25
"""Fraction of sampling points beyond the picture, less that of the regular grid. A healthy layer stays below 0.15."""
COLLAPSED_ENTROPY = 0.3
"""Of 1: with nine taps, nearly all weight on two of them at most. Trained layers have 0.8 to 0.97."""
UNIFORM_ENTROPY = 0.995
"""Of 1: the taps' weights differ by less than about a tenth of their mean."""
SILENT_WEIGHT = 1e-6
"""Largest attention weight of a layer that adds nothing."""
CLOSED_GATE = 1e-4
"""Largest gain of a gate that lets nothing of the attention through."""
ASTRAY_COSINE = 0.1
"""How much worse than on the regular grid the agreement with the flow must be to be mentioned."""
FEWEST_CELLS = 12
"""Moving cells, over all frames, below which the agreement with the flow says nothing."""

FAULT, NOTE = "fault", "note"
WITHOUT_TRAINING = "Without training this is as it should be"
ONCE_TRAINED = "Once the model is trained, it would be a fault."


@dataclass(frozen=True)
class Diagnostic:
    """One thing to know about some layers."""

    kind: str
    """"non_finite", "dead_offsets", "stuck_offsets", "out_of_frame", "collapsed_attention", "uniform_attention",
    "silent_attention", "closed_gate", "astray" or "nothing_moves"."""
    severity: str
    """"fault", or "note" for what need not be one."""
    layers: tuple[str, ...]
    sentence: str
    """What is the matter, with the numbers."""
    advice: str
    """What it may come from and what to try."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def diagnose(analysis: Analysis) -> list[Diagnostic]:
    """Everything found, faults first. An empty list means that none of the things looked for is there."""
    found = [diagnostic for check in _CHECKS if (diagnostic := check(analysis))]
    return sorted(found, key=lambda diagnostic: diagnostic.severity != FAULT)


def _diagnostic(kind: str, severity: str, values: dict[str, float], sentence: str, advice: str) -> Diagnostic | None:
    """A diagnostic on the layers in `values`, None without any; {layers} in the sentence is filled in."""
    if not values:
        return None
    return Diagnostic(kind, severity, tuple(values), sentence.format(layers=_listed(list(values))), advice)


def _listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c", or "a, b, c and 4 more"."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _percent(values: dict[str, float]) -> str:
    """The range of fractions in words; nothing for none."""
    if not values:
        return ""
    low, high = (round(100 * value) for value in (min(values.values()), max(values.values())))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _finite_layers(analysis: Analysis) -> list[str]:
    traces = analysis.traces.items()
    return [name for name, trace in traces if np.isfinite(trace.offset).all() and np.isfinite(trace.weights).all()]


def _blocks(analysis: Analysis, layer: str) -> list[SIFA]:
    return [module for module in analysis.model.sifa_layers()[layer].modules() if isinstance(module, SIFA)]


def _has_offsets(analysis: Analysis, layer: str) -> bool:
    """False for a layer that was built on the regular grid."""
    return not any(isinstance(block.offset, RegularGrid) for block in _blocks(analysis, layer))


def _longest(analysis: Analysis, layer: str) -> float:
    return float(analysis.offset_statistics(layer).max_magnitude.max())


def _alive(analysis: Analysis) -> list[str]:
    """Layers with finite offsets that are not dead."""
    return [name for name in _finite_layers(analysis) if _longest(analysis, name) >= DEAD_OFFSET]


def _non_finite(analysis: Analysis) -> Diagnostic | None:
    broken = {name: 1.0 for name in analysis.layers if name not in _finite_layers(analysis)}
    return _diagnostic(
        "non_finite",
        FAULT,
        broken,
        "Offsets or attention weights of {layers} are not finite numbers.",
        "Training has diverged: go back to an earlier checkpoint, lower the learning rate, clip gradients, and train "
        'in float32 or bfloat16 instead of float16. The bare dot product (scale="none") explodes with many channels.',
    )


def _dead_offsets(analysis: Analysis) -> Diagnostic | None:
    names = [name for name in _finite_layers(analysis) if _has_offsets(analysis, name)]
    dead = {name: _longest(analysis, name) for name in names if _longest(analysis, name) < DEAD_OFFSET}
    is_trained = analysis.info.is_trained
    usual = "" if is_trained else f" {WITHOUT_TRAINING}: offsets start at zero."
    return _diagnostic(
        "dead_offsets",
        FAULT if is_trained else NOTE,
        dead,
        f"The offsets of {{layers}} are dead: none is longer than {DEAD_OFFSET} cells, so the network looks at the "
        f"regular grid.{usual}",
        "Check that the offset convolution's parameters are given to the optimizer and get gradients, that their "
        "learning rate is not zero, and that no later initialisation or weight decay holds them at zero."
        if is_trained
        else ONCE_TRAINED,
    )


def _stuck_offsets(analysis: Analysis) -> Diagnostic | None:
    stuck = {}
    for name in _alive(analysis):
        offset = analysis.traces[name].offset.astype(float)
        spread = float(np.sqrt(offset.var(axis=(0, 3, 4)).sum(-1)).mean())
        fraction = spread / float(np.linalg.norm(offset, axis=2).mean())
        if fraction < STUCK_FRACTION:
            stuck[name] = fraction
    return _diagnostic(
        "stuck_offsets",
        FAULT,
        stuck,
        "The offsets of {layers} are the same at every place and in every frame: they do not depend on the picture.",
        "The bias of the offset convolution has taken over. Look at the features that it reads (dead ReLUs?), start it "
        "again from zero, and lower its learning rate to a tenth.",
    )


def _out_of_frame(analysis: Analysis) -> Diagnostic | None:
    far = {}
    regular = 0.0
    for name in _finite_layers(analysis):
        fraction = float(analysis.offset_statistics(name).out_of_frame.mean())
        base = regular_out_of_frame(analysis.grid(name), analysis.traces[name].kernel_size)
        if fraction - base > OUT_OF_FRAME_EXCESS:
            far[name], regular = fraction, max(regular, base)
    return _diagnostic(
        "out_of_frame",
        FAULT,
        far,
        f"{_percent(far)} of the sampling points of {{layers}} lie beyond the picture, where the network reads zeros; "
        f"the regular grid alone has {100 * regular:.0f} % there.",
        "The offsets are too long. Train the offset convolution at a tenth of the learning rate, penalise the length "
        "of offsets, or start again from zero offsets.",
    )


def _entropies(analysis: Analysis) -> dict[str, float]:
    """Layers with more than one tap and weights that are not all zero -> mean attention entropy."""
    return {
        name: float(analysis.offset_statistics(name).attention_entropy.mean())
        for name in _finite_layers(analysis)
        if analysis.traces[name].kernel_size > 1 and np.abs(analysis.traces[name].weights).max() >= SILENT_WEIGHT
    }


def _collapsed_attention(analysis: Analysis) -> Diagnostic | None:
    collapsed = {name: value for name, value in _entropies(analysis).items() if value < COLLAPSED_ENTROPY}
    return _diagnostic(
        "collapsed_attention",
        FAULT,
        collapsed,
        "The attention of {layers} has collapsed: nearly all weight lies on one of its sampling points.",
        'The products of query and key are too large. Use scale="mean", a smaller learning rate, or a gate on the '
        "aggregate, and see whether one channel outgrows all others.",
    )


def _uniform_attention(analysis: Analysis) -> Diagnostic | None:
    uniform = {name: value for name, value in _entropies(analysis).items() if value > UNIFORM_ENTROPY}
    return _diagnostic(
        "uniform_attention",
        FAULT,
        uniform,
        "The attention of {layers} is uniform: all sampling points weigh alike, so it only averages them.",
        "Its features may be constant, or the points of a query fall on one spot. Look at the motion saliency and at "
        'the offset lengths; with scale="softmax" the products may be too small to tell points apart.',
    )


def _silent_attention(analysis: Analysis) -> Diagnostic | None:
    largest = {name: float(np.abs(analysis.traces[name].weights).max()) for name in _finite_layers(analysis)}
    return _diagnostic(
        "silent_attention",
        FAULT,
        {name: value for name, value in largest.items() if value < SILENT_WEIGHT},
        "All attention weights of {layers} are zero, so the layer adds nothing.",
        "Its input features are dead: look at the normalisation and the ReLU before it, and at the learning rate.",
    )


def _closed_gate(analysis: Analysis) -> Diagnostic | None:
    closed = {}
    for name in analysis.layers:
        gates = [block.gate.named_parameters() for block in _blocks(analysis, name)]
        gains = [float(value.detach().abs().max()) for gate in gates for key, value in gate if "bias" not in key]
        if gains and max(gains) < CLOSED_GATE:
            closed[name] = max(gains)
    is_trained = analysis.info.is_trained
    usual = "" if is_trained else f" {WITHOUT_TRAINING}: gates start at zero."
    return _diagnostic(
        "closed_gate",
        FAULT if is_trained else NOTE,
        closed,
        f"The gate of {{layers}} is closed: nothing of what its attention gathers reaches the prediction.{usual}",
        "Check that the gate's gain is given to the optimizer, without weight decay. Until it opens, offsets get no "
        "gradient either."
        if is_trained
        else ONCE_TRAINED,
    )


def _astray(analysis: Analysis) -> Diagnostic | None:
    astray = {}
    for name in _alive(analysis):
        agreement = analysis.flow_agreement(name)
        if agreement.moving_cells.sum() >= FEWEST_CELLS:
            loss = agreement.mean("regular_cosine") - agreement.mean("cosine")
            if loss > ASTRAY_COSINE:
                astray[name] = loss
    return _diagnostic(
        "astray",
        NOTE,
        astray,
        "Where the picture moves, {layers} would look more along the motion without offsets than with them.",
        "Offsets need not follow motion to help the prediction, and the flow is itself an estimate: compare with the "
        "controls, and look at more clips.",
    )


def _nothing_moves(analysis: Analysis) -> Diagnostic | None:
    moving = sum(int(analysis.flow_agreement(name).moving_cells.sum()) for name in analysis.layers)
    return _diagnostic(
        "nothing_moves",
        NOTE,
        {} if moving else dict.fromkeys(analysis.layers, 0.0),
        "Hardly anything moves in this clip, so there is no motion for offsets to follow.",
        "Choose another clip, or frames that lie further apart.",
    )


_CHECKS: tuple[Callable[[Analysis], Diagnostic | None], ...] = (
    _non_finite,
    _dead_offsets,
    _stuck_offsets,
    _out_of_frame,
    _collapsed_attention,
    _uniform_attention,
    _silent_attention,
    _closed_gate,
    _astray,
    _nothing_moves,
)
