/**
 * The chart of the whole video: a click on a moment puts it into the fields below, where it can be shown.
 *
 * Runs in a component's `js_on_load`. A moment of a class's line has its first and last second and its stride; a place of
 * the line of movement is a second.
 */
const chart = () => document.querySelector("#timeline");

function fill(field, value) {
  const input = document.querySelector(`#window-${field} input`);
  input.value = String(value);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function choose({ x, customdata }) {
  fill("start", Math.round(100 * (customdata?.[0] ?? x)) / 100);
  if (customdata) fill("stride", customdata[2]);
}

document.querySelector("#whole-video").addEventListener("click", (event) => {
  // What Plotly's hover label is about; its own click event is forgotten whenever the chart is drawn again.
  const [point] = chart()?.querySelector(".js-plotly-plot")?._hoverdata ?? [];
  if (point && chart().contains(event.target)) choose(point);
});
