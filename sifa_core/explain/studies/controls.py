"""Controls that keep an explanation honest: the same clip without its motion.

Attention is not an explanation by itself. Where a prediction survives a clip that has lost what it should rest on, it
rests on something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sifa_core.data import Clip
from sifa_core.explain.analysis import Analysis
from sifa_core.inference import public_predictions

MEANINGS = {
    "frozen": "The middle frame all the time. Nothing moves, so whatever rests on motion must go.",
    "reversed": "The same frames backwards. What goes left must go right, what comes closer must move away.",
    "shuffled": "The same frames in a random order. Every picture is there, but no motion makes sense.",
    "held": "Every feature frame is made of one picture. Only layers that compare feature frames see what moves.",
}
"""What each control shows, and what to expect of it."""

VERDICTS = {
    "frozen": ("needs no motion", "needs motion"),
    "reversed": ("does not care which way time runs", "turns with time"),
    "shuffled": ("does not need the frames in order", "needs the frames in order"),
    "held": ("rests on what is seen between feature frames", "needs motion within a feature frame"),
}
"""What may be said of the prediction if it survives a control, and if it does not."""
HELD_AND_FROZEN = "does not need motion within a feature frame"
"""What is left to say of a prediction that survives "held" if it survives "frozen", too: it may rest on no motion."""
SURVIVING_FRACTION = 0.5
"""A prediction survives a control that leaves at least this fraction of its probability."""
LEAST_CERTAIN = 0.25
"""Probability of the original's class below which there is no prediction to speak of."""
UNCERTAIN = "was hardly certain to begin with"


@dataclass(frozen=True)
class Control:
    """One control beside the original. Made by `run_controls`."""

    name: str
    """A key of MEANINGS."""
    analysis: Analysis
    """Of the control's own clip, for points, maps and statistics beside those of the original."""
    label: str
    """The class predicted for the original."""
    original: float
    """That class' probability for the original; meaningless for an untrained model, as are those below."""
    probability: float
    """The same class' probability for the control."""
    frozen: float
    """The same class' probability for the frozen control."""

    @property
    def change(self) -> float:
        """How much the probability of the original's class changed; -1..1."""
        return self.probability - self.original

    @property
    def meaning(self) -> str:
        """What the control shows, and what to expect of it."""
        return MEANINGS[self.name]

    @property
    def verdict(self) -> str:
        """What that says of the prediction, as the end of a sentence; empty for an untrained model."""
        if not self.analysis.info.is_trained:
            return ""
        if self.original < LEAST_CERTAIN:
            return UNCERTAIN
        survives, goes = VERDICTS[self.name]
        enough = SURVIVING_FRACTION * self.original
        if self.probability < enough:
            return goes
        return HELD_AND_FROZEN if self.name == "held" and self.frozen >= enough else survives

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: predictions, the change, and the statistics of every layer."""
        analysis = self.analysis
        trained = analysis.info.is_trained
        return {
            "name": self.name,
            "meaning": self.meaning,
            "predictions": public_predictions(analysis.info, analysis.predictions),
            "label": self.label if trained else None,
            "change": self.change if trained else None,
            "offset_statistics": {name: analysis.offset_statistics(name).to_dict() for name in analysis.layers},
        }


def control_clips(clip: Clip, temporal_stride: int, seed: int = 0) -> dict[str, Clip]:
    """The same window frozen, reversed, shuffled and held, by the names in MEANINGS.

    `temporal_stride` frames make a feature frame, all of which show one picture when they are held; with 1 there is
    nothing to hold. `seed` draws the shuffled order.
    """
    clips = {"frozen": clip.frozen(), "reversed": clip.reversed(), "shuffled": clip.shuffled(seed)}
    return clips | ({"held": clip.held(temporal_stride)} if temporal_stride > 1 else {})


def run_controls(analysis: Analysis, seed: int = 0) -> Iterator[Control]:
    """Analyse each control with the model of `analysis`, one after the other."""
    label, original = analysis.predictions[0]
    found: dict[str, float] = {}
    for name, clip in control_clips(analysis.clip, analysis.model.temporal_stride, seed).items():
        control = analysis.on(clip)
        found[name] = dict(control.predictions)[label]
        yield Control(name, control, label, original, found[name], found["frozen"])
