"""The words of the Learn tab: equations 1 to 7 of the paper, typeset as MathML, and what they say in plain words.

MathML is drawn by the browser itself, scales with the text and is read out by screen readers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Lesson:
    """One equation."""

    number: int
    title: str
    """What it does, as one would say it."""
    formula: str
    """MathML, ours and therefore safe to insert."""
    words: str
    symbols: tuple[tuple[str, str], ...]
    """(MathML of the symbol, what it stands for)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def _identifier(name: str) -> str:
    return f"<mi>{name}</mi>" if len(name) == 1 else f'<mi mathvariant="normal">{name}</mi>'


def _sub(base: str, index: str) -> str:
    return f"<msub>{base}<mrow>{index}</mrow></msub>"


def _math(content: str, *, block: bool = False) -> str:
    return f"<math{' display=' + chr(34) + 'block' + chr(34) if block else ''}>{content}</math>"


def _transposed(content: str) -> str:
    return f"<msup><mrow><mo>[</mo>{content}<mo>]</mo></mrow><mi>T</mi></msup>"


_T = "<mi>t</mi>"
_NEXT = "<mi>t</mi><mo>+</mo><mn>1</mn>"
_IS, _PLUS, _MINUS = "<mo>=</mo>", "<mo>+</mo>", "<mo>−</mo>"
_DOT, _TIMES = "<mo>⊙</mo>", "<mo>·</mo>"
_CORRELATION = _sub('<mi mathvariant="bold">W</mi>', _identifier("cor"))
_QUERY, _OUTPUT = (_sub(_identifier(name), _T) for name in "QY")
_KEYS, _AGGREGATE = (_sub(_identifier(name), _NEXT) for name in "KA")
_MOVED_KEYS = f"<msubsup><mi>K</mi><mrow>{_NEXT}</mrow><mo>′</mo></msubsup>"
_VALUES = _transposed(_sub("<mi>V</mi>", _NEXT))
_MOVED_VALUES = _transposed(f"<msubsup><mi>V</mi><mrow>{_NEXT}</mrow><mo>′</mo></msubsup>")
_HERE, _THERE, _SALIENCY = _sub("<mi>f</mi>", _T), _sub("<mi>f</mi>", _NEXT), _sub("<mi>f</mi>", "<mi>m</mi>")
_DIFFERENCE = "<mrow><mi>Δ</mi><mi>f</mi></mrow>"
_PLACE, _MOVED = "<mi>p</mi>", "<msup><mi>p</mi><mo>′</mo></msup>"
_SHARE = f"<mi>G</mi><mo>(</mo>{_PLACE}<mo>,</mo>{_MOVED}<mo>)</mo>"


def _rows(*rows: str) -> str:
    cells = "".join(f'<mtr><mtd style="text-align: left">{row}</mtd></mtr>' for row in rows)
    return f"<mtable>{cells}</mtable>"


LESSONS = (
    Lesson(
        1,
        "Compare with the neighbourhood",
        _math(_CORRELATION + _IS + _QUERY + _DOT + _KEYS, block=True),
        "How alike is the query in frame t to each of its neighbours in frame t + 1? Multiply the two lists of "
        "features channel by channel and add up: the larger the sum, the more alike they are.",
        (
            (_QUERY, "the query: the features at the place you chose in frame t"),
            (_KEYS, "the keys: the features at the k × k places around it in frame t + 1"),
            (_CORRELATION, "one number for each key: how much it is like the query"),
        ),
    ),
    Lesson(
        2,
        "Gather what is alike",
        _math(_AGGREGATE + _IS + _CORRELATION + _DOT + _VALUES, block=True),
        "Mix the neighbours' features, each as strongly as it is like the query. Values and keys are the same "
        "features here: what was compared is what is gathered.",
        (
            (_sub(_identifier("V"), _NEXT), "the values: the features at the same k × k places"),
            (_CORRELATION, "the weights from equation 1"),
            (_AGGREGATE, "what the query gathers from the next frame"),
        ),
    ),
    Lesson(
        3,
        "Add it to the query",
        _math(_OUTPUT + _IS + _QUERY + _PLUS + _AGGREGATE, block=True),
        "The query keeps its own features and adds what it has gathered, so it now knows something of what comes next.",
        (
            (_QUERY, "the query's own features"),
            (_AGGREGATE, "what it gathered, from equation 2"),
            (_OUTPUT, "the strengthened features that the next layer sees"),
        ),
    ),
    Lesson(
        4,
        "See what has changed",
        _math(_DIFFERENCE + _IS + _THERE + _MINUS + _HERE, block=True),
        "So far the neighbourhood is a fixed square, but things move. Subtract one frame's features from the next: "
        "where nothing moved, almost nothing is left.",
        (
            (_THERE, "the features of frame t + 1"),
            (_HERE, "the features of frame t"),
            (_DIFFERENCE, "the temporal difference: what has changed, and in which direction"),
        ),
    ),
    Lesson(
        5,
        "Keep what moves",
        _math(
            _SALIENCY + _IS + _identifier("sigmoid") + f"<mo>(</mo>{_DIFFERENCE}<mo>)</mo>" + "<mo>∗</mo>" + _THERE,
            block=True,
        ),
        "The sigmoid turns every difference into a factor between 0 and 1: one half where nothing changed, near 1 "
        "where a feature appeared, near 0 where it went away. The next frame's features, multiplied by it, are the "
        "motion saliency map.",
        (
            (_DIFFERENCE, "the difference from equation 4"),
            (_THERE, "the features of frame t + 1"),
            (_SALIENCY, "the motion saliency map, which the offsets are read from"),
        ),
    ),
    Lesson(
        6,
        "Look where it went",
        _math(
            f"{_MOVED_KEYS}<mo>(</mo>{_MOVED}<mo>)</mo>{_IS}"
            f"<munder><mo>∑</mo>{_PLACE}</munder>{_SHARE}{_TIMES}{_KEYS}<mo>(</mo>{_PLACE}<mo>)</mo>",
            block=True,
        ),
        "A small convolution reads an offset for each of the k × k places from the motion saliency map, and the places "
        "move. They now lie between cells, so each one is blended from the four cells around it: the nearer a cell, "
        "the larger its share.",
        (
            (_PLACE, "a cell of frame t + 1"),
            (_MOVED, "a place moved by its offset, usually between cells"),
            (_SHARE, "the share of cell p: how near it is, 0 to 1; the four shares add up to 1 inside the frame"),
            (_MOVED_KEYS, "the features blended at the place moved"),
        ),
    ),
    Lesson(
        7,
        "Attend to the places moved",
        _math(
            _rows(
                _CORRELATION + _IS + _QUERY + _DOT + _MOVED_KEYS,
                _AGGREGATE + _IS + _CORRELATION + _DOT + _MOVED_VALUES,
                _OUTPUT + _IS + _QUERY + _PLUS + _AGGREGATE,
            ),
            block=True,
        ),
        "Equations 1 to 3 once more, at the places moved. This is what the network has really computed in this cell. "
        "With 1 level, the viewer draws these points and weights, read between the cells around your query. With 2 "
        "levels, each of these points expands once more by the layer before, and the weights multiply.",
        (
            (_MOVED_KEYS, "keys and values at the places moved, from equation 6"),
            (_CORRELATION, "the attention weights: those of the viewer with 1 level"),
            (_OUTPUT, "the layer's output at this place"),
        ),
    ),
)
