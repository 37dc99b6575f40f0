"""The row of example clips: one button each, with a thumbnail. Tells Python by a "select" event with the name."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from html import escape

import gradio as gr

from app.examples import Example
from sifa_core.errors import ClipError

log = logging.getLogger("app")

TELL = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-name]');
  if (button) trigger('select', {index: 0, value: button.dataset.name});
});
"""

# A component of its own, because a new value for the shelf would draw its buttons anew and lose the keyboard's focus.
MARK = """
watch('value', () => {
  for (const button of document.querySelectorAll('#examples button[data-name]')) {
    const isChosen = button.dataset.name === props.value.example;
    button.setAttribute('aria-pressed', isChosen);
    if (isChosen) button.scrollIntoView({block: 'nearest', inline: 'nearest'});
  }
});
"""


def build_shelf(examples: Iterable[Example]) -> gr.HTML:
    """A component whose `select` event carries the name of an example as `value`."""
    with ThreadPoolExecutor() as pool:  # decoding runs beside other Python code, and the page waits for it
        buttons = "".join(pool.map(_button, examples))
    return gr.HTML(
        f'<div class="shelf" role="group" aria-label="Example clips">{buttons}</div>',
        js_on_load=TELL,
        elem_id="examples",
    )


def build_mark() -> gr.HTML:
    """An invisible component; the value {"example": name} marks that example as the one shown, any other name none."""
    return gr.HTML({"example": ""}, html_template="", js_on_load=MARK, elem_id="current")


def _button(example: Example) -> str:
    try:
        thumbnail = example.thumbnail()
    except ClipError as error:
        log.warning("The example %s is left out: %s", example.name, error)
        return ""
    return (
        f'<button type="button" data-name="{escape(example.name)}" aria-pressed="false">'
        f'<img src="{thumbnail}" alt=""><span>{escape(example.title)}</span></button>'
    )
