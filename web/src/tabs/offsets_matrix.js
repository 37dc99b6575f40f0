/**
 * The matrix of layers and frames: one number a cell, coloured by the measure that is chosen. A cell opens its layer and
 * frame in the viewer. Every text is shown as text.
 *
 * @typedef {object} Matrix
 * @property {{name: string, cells: string}[]} layers `cells` says how many
 * @property {string[]} frames "0 → 1" and so on
 * @property {Measure[]} measures
 *
 * @typedef {object} Measure
 * @property {string} id @property {string} title @property {string} about @property {string} unit @property {number} digits
 * @property {number} low end of the colour scale @property {number} high the other @property {boolean} zero two sides
 * @property {(number | null)[][]} values [layer][frame]
 */
import { element as make } from "../viewer/elements.js";

/** @param {{viewer: () => any, open: (layer: string, t: number) => void}} page */
export function createMatrix({ viewer, open: openIn }) {
  const root = make("div", { class: "sheet matrix" });
  let measure = "mean_magnitude";
  /** The cell that the keyboard is at: [layer, frame]. */
  let at = [0, 0];
  let followed;
  /** @type {Matrix} */
  let data;

  /** Fraction of the strongest colour, -1..1; colours stay light enough (dark enough, in the dark) to read numbers on. */
  function strength({ low, high, zero }, value) {
    if (zero) return Math.max(-1, Math.min(1, value / high));
    return high > low ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0;
  }

  const written = ({ unit, digits }, value) =>
    unit === "%" ? `${(100 * value).toFixed(digits)}` : value.toFixed(digits).replace("-", "−");
  const withUnit = (shown, value) => `${written(shown, value)}${shown.unit ? ` ${shown.unit}` : ""}`;

  function paint(node, shown, value) {
    const fraction = strength(shown, value);
    node.style.setProperty("--fraction", `${Math.round(1000 * Math.abs(fraction)) / 10}%`);
    node.classList.toggle("negative", fraction < 0);
  }

  function cell(value, shown, layer, frame) {
    const name = data.layers[layer].name;
    const told = value === null ? "nothing moves" : withUnit(shown, value);
    const button = make("button", { type: "button", textContent: value === null ? "–" : written(shown, value) });
    button.dataset.at = `${layer},${frame}`;
    button.title = `${name}, frame ${data.frames[frame]}: ${told}. Open in the viewer.`;
    button.setAttribute("aria-label", button.title);
    button.tabIndex = layer === at[0] && frame === at[1] ? 0 : -1;
    if (value === null) button.classList.add("empty");
    else paint(button, shown, value);
    return make("td", {}, [button]);
  }

  function legend(shown) {
    const steps = shown.zero ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
    const bar = make("span", { className: "bar" });
    bar.setAttribute("aria-hidden", "true");
    for (const step of steps) {
      const piece = make("i");
      paint(piece, shown, shown.zero ? step * shown.high : shown.low + step * (shown.high - shown.low));
      bar.append(piece);
    }
    return make("p", { className: "legend" }, [
      make("span", { textContent: withUnit(shown, shown.low) }),
      bar,
      make("span", { textContent: withUnit(shown, shown.high) }),
    ]);
  }

  function draw() {
    const { layers, frames, measures } = data;
    const shown = measures.find(({ id }) => id === measure) ?? measures[0];
    const choices = measures.map(({ id, title }) => {
      const choice = make("button", { type: "button", textContent: title });
      choice.dataset.measure = id;
      choice.setAttribute("aria-pressed", String(id === shown.id));
      return choice;
    });
    const group = make("div", { className: "choices" }, choices);
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "What the matrix shows");
    const heading = (text, scope) => make("th", { textContent: text, scope });
    const head = make("tr", {}, [heading("Layer", "col"), ...frames.map((frame) => heading(frame, "col"))]);
    const rows = layers.map(({ name, cells }, layer) => {
      const first = make("th", { scope: "row" }, [name, make("small", { textContent: cells, title: "columns × rows of the layer's map" })]);
      return make("tr", {}, [first, ...shown.values[layer].map((value, frame) => cell(value, shown, layer, frame))]);
    });
    const table = make("table", {}, [
      make("caption", { textContent: shown.about }),
      make("thead", {}, [head]),
      make("tbody", {}, rows),
    ]);
    const hint = "A cell opens its layer and frame in the viewer; the framed one is there now.";
    root.replaceChildren(
      group,
      make("div", { className: "scroll" }, [table]),
      make("div", { className: "foot" }, [legend(shown), make("p", { className: "hint", textContent: hint })]),
    );
    markCurrent();
  }

  /** The cell of what the viewer shows. */
  function markCurrent() {
    const state = viewer()?.getState();
    for (const button of root.querySelectorAll("td button")) {
      const [layer, frame] = button.dataset.at.split(",").map(Number);
      const isCurrent = Boolean(state) && data.layers[layer].name === state.layer && frame === state.t;
      if (isCurrent) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  function open(button) {
    const [layer, t] = button.dataset.at.split(",").map(Number);
    openIn(data.layers[layer].name, t);
  }

  root.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-measure]");
    const button = event.target.closest("td button");
    if (button) open(button);
    if (!choice) return;
    measure = choice.dataset.measure;
    draw();
    root.querySelector(`[data-measure="${measure}"]`).focus();
  });

  root.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !event.target.closest("td button")) return;
    event.preventDefault();
    const next = event.target.dataset.at.split(",").map((number, side) => Number(number) + step[side]);
    const button = root.querySelector(`[data-at="${next}"]`);
    if (!button) return;
    event.target.tabIndex = -1;
    at = next;
    button.tabIndex = 0;
    button.focus();
  });

  return {
    element: root,
    /** @param {Matrix} matrix */
    show(matrix) {
      data = matrix;
      at = [0, 0];
      draw();
      if (followed !== viewer()) {
        followed = viewer();
        followed?.on("change", markCurrent);
      }
    },
  };
}
