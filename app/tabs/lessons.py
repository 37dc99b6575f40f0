"""The words of the Learn tab: equations 1 to 7 of the paper, and what they say in plain words.

Formulas are LaTeX here. `make formulas` typesets them as MathML (formulas.js), which the browser draws itself, which
scales with the text and is read out by screen readers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """One equation."""

    number: int
    title: str
    """What it does, as one would say it."""
    formula: str
    """LaTeX."""
    words: str
    symbols: tuple[tuple[str, str], ...]
    """(LaTeX of the symbol, what it stands for)."""


LESSONS = (
    Lesson(
        1,
        "Compare with the neighbourhood",
        r"\mathbf{W}_\text{cor} = Q_t \odot K_{t+1}",
        "How alike is the query in frame t to each of its neighbours in frame t + 1? Multiply the two lists of "
        "features channel by channel and add up: the larger the sum, the more alike they are.",
        (
            (r"Q_t", "the query: the features at the place you chose in frame t"),
            (r"K_{t+1}", "the keys: the features at the k × k places around it in frame t + 1"),
            (r"\mathbf{W}_\text{cor}", "one number for each key: how much it is like the query"),
        ),
    ),
    Lesson(
        2,
        "Gather what is alike",
        r"A_{t+1} = \mathbf{W}_\text{cor} \odot \left[V_{t+1}\right]^T",
        "Mix the neighbours' features, each as strongly as it is like the query. Values and keys are the same "
        "features here: what was compared is what is gathered.",
        (
            (r"V_{t+1}", "the values: the features at the same k × k places"),
            (r"\mathbf{W}_\text{cor}", "the weights from equation 1"),
            (r"A_{t+1}", "what the query gathers from the next frame"),
        ),
    ),
    Lesson(
        3,
        "Add it to the query",
        r"Y_t = Q_t + A_{t+1}",
        "The query keeps its own features and adds what it has gathered, so it now knows something of what comes next.",
        (
            (r"Q_t", "the query's own features"),
            (r"A_{t+1}", "what it gathered, from equation 2"),
            (r"Y_t", "the strengthened features that the next layer sees"),
        ),
    ),
    Lesson(
        4,
        "See what has changed",
        r"\Delta f = f_{t+1} - f_t",
        "So far the neighbourhood is a fixed square, but things move. Subtract one frame's features from the next: "
        "where nothing moved, almost nothing is left.",
        (
            (r"f_{t+1}", "the features of frame t + 1"),
            (r"f_t", "the features of frame t"),
            (r"\Delta f", "the temporal difference: what has changed, and in which direction"),
        ),
    ),
    Lesson(
        5,
        "Keep what moves",
        r"f_m = \text{sigmoid}(\Delta f) \ast f_{t+1}",
        "The sigmoid turns every difference into a factor between 0 and 1: one half where nothing changed, near 1 "
        "where a feature appeared, near 0 where it went away. The next frame's features, multiplied by it, are the "
        "motion saliency map.",
        (
            (r"\Delta f", "the difference from equation 4"),
            (r"f_{t+1}", "the features of frame t + 1"),
            (r"f_m", "the motion saliency map, which the offsets are read from"),
        ),
    ),
    Lesson(
        6,
        "Look where it went",
        r"K'_{t+1}(p') = \sum\limits_p G(p, p') \cdot K_{t+1}(p)",
        "A small convolution reads an offset for each of the k × k places from the motion saliency map, and the places "
        "move. They now lie between cells, so each one is blended from the four cells around it: the nearer a cell, "
        "the larger its weight.",
        (
            (r"p", "a cell of frame t + 1"),
            (r"p'", "a place moved by its offset, usually between cells"),
            (
                r"G(p, p')",
                "the weight of cell p: how near it is, 0 to 1; inside the frame the four add up to 1",
            ),
            (r"K'_{t+1}", "the features blended at the place moved"),
        ),
    ),
    Lesson(
        7,
        "Attend to the places moved",
        r"\begin{array}{l}"
        r"\mathbf{W}_\text{cor} = Q_t \odot K'_{t+1} \\ "
        r"A_{t+1} = \mathbf{W}_\text{cor} \odot \left[V'_{t+1}\right]^T \\ "
        r"Y_t = Q_t + A_{t+1} \end{array}",
        "Equations 1 to 3 once more, at the places moved. This is what the network has really computed in this cell. "
        "With 1 level, the viewer draws these points and weights, read between the cells around your query. With 2 "
        "levels, each of these points expands once more by the layer before, and the weights multiply.",
        (
            (r"K'_{t+1}", "keys and values at the places moved, from equation 6"),
            (r"\mathbf{W}_\text{cor}", "the attention weights: those of the viewer with 1 level"),
            (r"Y_t", "the layer's output at this place"),
        ),
    ),
)

SYMBOLS = {
    "query": ("Q_t", "query"),
    "here": ("f_t", "frame t"),
    "following": ("f_{t+1}", "frame t plus 1"),
    "difference": (r"\Delta f", "difference"),
    "gate": (r"\text{sigmoid}(\Delta f)", "sigmoid of the difference"),
    "saliency": ("f_m", "motion saliency"),
    "aggregate": ("A_{t+1}", "gathered"),
    "gated": (r"g \cdot A_{t+1}", "gathered, scaled"),
    "output": ("Y_t", "output"),
    "key": ("K_n", "key n"),
    "moved": ("K'_n", "key n, moved"),
    "product": (r"Q \cdot K", "product"),
}
"""Names of the rows of a table: LaTeX, and words for those who hear it; n stands for the number of a tap."""
