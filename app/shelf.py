"""The row of example clips: one button each, with a thumbnail. Tells Python by a "select" event with the name."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from html import escape

import gradio as gr

from app.examples import Example
from sifa_core.errors import ClipError

log = logging.getLogger("app")

MARK_AND_TELL = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-name]');
  if (!button) return;
  for (const other of element.querySelectorAll('button[data-name]')) other.setAttribute('aria-pressed', other === button);
  trigger('select', {index: 0, value: button.dataset.name});
});
"""


def build_shelf(examples: Iterable[Example]) -> gr.HTML:
    """A component whose `select` event carries the name of an example as `value`."""
    buttons = "".join(_button(example) for example in examples)
    return gr.HTML(
        f'<div class="shelf" role="group" aria-label="Example clips">{buttons}</div>',
        js_on_load=MARK_AND_TELL,
        elem_id="examples",
    )


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
