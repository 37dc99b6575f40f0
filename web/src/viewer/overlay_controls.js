/**
 * The group that switches overlays on and off, with opacity, legend and key of each, and what colours are scaled over.
 */
import { COLOUR_MAPS, gradient, LINK_COLOUR, readable } from "./colour_maps.js";
import { element, group } from "./elements.js";
import { OVERLAY_KEYS } from "./keys.js";

/** Name, what it says, tooltip in plain words, kind of its sample; `map` if it has a colour scale. */
const ROWS = [
  ["points", "Sampling points", "Where the network looks in the next frame; larger and brighter counts more", "dot"],
  ["links", "Top-3 lines", "From the query to the three points that count most", "line"],
  ["grid", "Regular grid", "Where the points would be if the network had moved none", "square"],
  ["arrows", "Offsets", "How far each point was moved by the network", "arrow"],
  ["weights", "Attention map", "How much each place of the next frame adds to the answer", "weights"],
  ["motion", "Motion", "What moves from this frame to the next, as all stages of the network see it", "motion"],
  [
    "saliency",
    "Motion saliency (Eq. 5)",
    "The paper's map: half of every feature stays in it where nothing moves, so it is mostly appearance",
    "saliency",
  ],
  ["evidence", "Class evidence", "Which places the score of a class rests on; class and method are chosen with the figure", "evidence"],
];

/** What has to be said of a map wherever it is shown. */
export const CAVEATS = {
  saliency: "Eq. 5 keeps half of every feature where nothing moves: this map is mostly appearance.",
};

const SCOPE_WORDS = {
  point: ["Point", "Colours span the weights of this query only; maps span their frame"],
  frame: ["Frame", "Colours span everything in this frame"],
  clip: ["Clip", "Colours span the whole clip, so frames can be compared"],
};

/** A row of buttons of which one is chosen. @param {string} label */
export function segmented(label, choices, choose) {
  const buttons = new Map(
    Object.entries(choices).map(([value, [text, title]]) => {
      const on = { click: () => choose(value) };
      return [value, element("button", { type: "button", text, title, "aria-pressed": "false", on })];
    }),
  );
  const row = element("div", { class: "segmented", role: "group", "aria-label": label }, [...buttons.values()]);
  return {
    element: row,
    /** @param {string} chosen */
    update(chosen) {
      for (const [value, button] of buttons) button.setAttribute("aria-pressed", String(value === chosen));
    },
    buttons,
  };
}

/** @param {ReturnType<typeof import("./actions.js").createActions>} actions */
export function createOverlayControls(actions) {
  const keyOf = Object.fromEntries(Object.entries(OVERLAY_KEYS).map(([key, name]) => [name, key.toUpperCase()]));

  const rows = ROWS.map(([name, words, title, kind]) => {
    const toggle = element("input", { type: "checkbox", on: { change: () => actions.toggleOverlay(name) } });
    const sample = element("i", { class: `sample ${kind}`, "aria-hidden": "true" });
    if (kind === "line") sample.style.background = LINK_COLOUR;
    if (COLOUR_MAPS[kind]) sample.style.background = gradient(COLOUR_MAPS[kind]);
    if (kind === "dot") sample.style.background = COLOUR_MAPS.weights.css[190];
    const key = element("kbd", { text: keyOf[name], "aria-hidden": "true" });
    const label = element("label", { title }, [toggle, sample, element("span", { text: words }), key]);
    const slider = element("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      title: "Opacity",
      "aria-label": `Opacity of ${words.toLowerCase()}`,
      on: { input: () => actions.setOpacity(name, Number(slider.value)) },
    });
    const low = element("span", { class: "low" });
    const high = element("span", { class: "high" });
    const map = name === "points" ? COLOUR_MAPS.weights : COLOUR_MAPS[name];
    const legend = element("div", { class: "legend" }, map ? [low, element("i"), high] : []);
    if (map) legend.children[1].style.background = gradient(map);
    return { name, toggle, slider, low, high, legend, row: element("div", { class: "overlay" }, [label, legend, slider]) };
  });

  const scope = segmented("What colours are scaled over", SCOPE_WORDS, actions.chooseScope);
  const scopeRow = element("div", { class: "scope" }, [element("span", { text: "Scale over" }), scope.element]);
  const caveat = element("p", { class: "note caveat", role: "status" });
  const content = [element("div", { class: "overlays" }, rows.map(({ row }) => row)), scopeRow, caveat];

  return {
    element: group("Overlays", content, "overlay-group"),
    /** @param {import("./state.js").State} state */
    update(state) {
      for (const { name, toggle, slider, row } of rows) {
        toggle.checked = state.overlays[name];
        slider.value = String(state.opacity[name]);
        row.classList.toggle("off", !state.overlays[name]);
      }
      scope.update(state.scope);
      const said = Object.entries(CAVEATS).filter(([name]) => state.overlays[name] && state.opacity[name] > 0);
      caveat.textContent = said.map(([, words]) => words).join(" ");
      caveat.hidden = said.length === 0;
    },
    /** @param {Record<string, number[] | null>} ranges ends of each legend by overlay */
    updateLegends(ranges) {
      for (const { name, low, high, legend } of rows) {
        const range = ranges[name];
        legend.classList.toggle("none", !range);
        if (!range) continue;
        const isTiny = Math.abs(range[0]) < 0.01 * Math.abs(range[1]) && range[0] !== 0;
        low.textContent = isTiny ? "≈ 0" : readable(range[0]);
        high.textContent = readable(range[1]);
      }
    },
  };
}
