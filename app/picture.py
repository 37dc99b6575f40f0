"""Frame t, to be clicked: a picture with the query on it. Its `select` event carries the place as `index`, [x, y].

`gr.Image` is no help here: it takes an enlarged picture for one at its natural size, and reports wrong places.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from sifa_core import Analysis
from sifa_core.explain.payload import encode_jpeg
from sifa_core.explain.points import Query

QUALITY = 90

TEMPLATE = (
    '<div class="frame"><img alt="Frame t. Click a point to see where the network looks from there."><i></i></div>'
)

# Pixel centres lie at integers, so the picture's left edge is at x = -0.5.
SCRIPT = """
function show() {
  const {picture, width, height, x, y} = props.value;
  const frame = element.querySelector('.frame'), image = frame.querySelector('img'), mark = frame.querySelector('i');
  frame.hidden = !picture;
  if (!picture) return;
  frame.style.width = `min(100%, ${66 * width / height}vh)`;
  frame.style.aspectRatio = `${width} / ${height}`;
  image.src = 'data:image/jpeg;base64,' + picture;
  mark.style.left = `${100 * (x + 0.5) / width}%`;
  mark.style.top = `${100 * (y + 0.5) / height}%`;
}
element.addEventListener('click', event => {
  const image = event.target.closest('.frame')?.querySelector('img');
  if (!image) return;
  const box = image.getBoundingClientRect(), {width, height} = props.value;
  const within = (share, size) => Math.min(Math.max(share * size - 0.5, 0), size - 1);
  const x = within((event.clientX - box.left) / box.width, width);
  const y = within((event.clientY - box.top) / box.height, height);
  trigger('select', {index: [Math.round(x), Math.round(y)], value: ''});
});
watch('value', show);
show();
"""


def build_picture() -> gr.HTML:
    """The component; `picture_value` makes its values."""
    return gr.HTML({"picture": ""}, html_template=TEMPLATE, js_on_load=SCRIPT, elem_id="picture")


def picture_value(analysis: Analysis, query: Query) -> dict[str, Any]:
    """Frame t of the query and where to mark it."""
    t, x, y = query
    width, height = analysis.clip.width, analysis.clip.height
    picture = encode_jpeg(analysis.frame(t), min(width, height), QUALITY)
    return {"picture": picture, "width": width, "height": height, "x": x, "y": y}
