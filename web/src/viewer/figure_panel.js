/**
 * Figure 5 on the page, under the panes, and its download.
 */
import { element, icon, ICONS, saveAs } from "./elements.js";
import { drawFigure, figureLayout, figurePicture } from "./figure5.js";
import { CAVEATS } from "./overlay_controls.js";
import { description } from "./reading.js";

/** Narrower than this, the four panels stand in two rows. */
const NARROW = 640;

/** A file name from an untrusted one: letters, digits, dots and dashes only. @param {string} name */
export function fileStem(name) {
  const stem = name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "-");
  return stem.replace(/^[-.]+|[-.]+$/g, "").slice(0, 60) || "clip";
}

/**
 * @param {import("./payload.js").Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store
 * @param {ReturnType<typeof import("./actions.js").createActions>} actions
 * @param {HTMLElement | null} evidence where the class evidence is chosen
 */
export function createFigurePanel(analysis, store, actions, evidence) {
  const canvas = element("canvas", { role: "img" });
  async function download() {
    const state = store.get();
    saveAs(await figurePicture(analysis, state), `${fileStem(analysis.clip.name)}-${state.layer}-frame${state.t}.png`);
  }
  const button = element("button", { class: "action download", type: "button", on: { click: download } }, [
    icon(ICONS.download),
    element("span", { text: "PNG" }),
  ]);
  button.title = "Save this figure as a picture";
  button.setAttribute("aria-label", "Save the figure as PNG");
  const paper = element("button", {
    class: "action paper",
    type: "button",
    text: "As in the paper",
    title: "The paper's own maps: motion saliency of Eq. 5, which is mostly appearance, and Grad-CAM of the last stage",
    on: { click: () => actions.showPaper(!store.get().paper) },
  });
  const words = element("p", { class: "note", role: "status" });
  const heading = element("div", { class: "title" }, [
    element("h2", { text: "Figure" }),
    words,
    paper,
    button,
  ]);
  const panel = element("section", { class: "figure", "aria-label": "Figure" }, [heading, evidence, canvas]);

  /** @param {import("./state.js").State} state */
  function update(state) {
    paper.setAttribute("aria-pressed", String(state.paper));
    words.textContent = state.paper
      ? `The paper's own maps. ${CAVEATS.saliency}`
      : "The query at a glance, laid out as the paper's Figure 5.";
    const width = canvas.clientWidth;
    if (!width) return;
    const layout = figureLayout(width, width < NARROW ? 2 : 4, analysis.clip);
    const dots = Math.min(globalThis.devicePixelRatio || 1, 2);
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(layout.height * dots);
    canvas.style.height = `${layout.height}px`;
    const context = canvas.getContext("2d");
    context.scale(dots, dots);
    const style = getComputedStyle(panel);
    const palette = { ink: style.getPropertyValue("color"), quiet: getComputedStyle(heading.children[1]).color };
    drawFigure(context, analysis, state, layout, palette);
    canvas.setAttribute("aria-label", description(analysis, state));
  }

  return { element: panel, update };
}
