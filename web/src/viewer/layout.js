/**
 * The parts of the viewer and their order on the page.
 */
import { element } from "./elements.js";
import { createEvidenceControls } from "./evidence_controls.js";
import { createFooter, createHeader } from "./facts.js";
import { createFigurePanel } from "./figure_panel.js";
import { createFilmstrip } from "./filmstrip.js";
import { createLayerControls } from "./layer_controls.js";
import { createOverlayControls } from "./overlay_controls.js";
import { createQueryControls } from "./query_controls.js";

/**
 * @param {import("./payload.js").Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store
 * @param {ReturnType<typeof import("./actions.js").createActions>} actions
 * @param {ReturnType<typeof import("./stage.js").createStage>} stage
 */
export function createLayout(analysis, store, actions, stage) {
  const filmstrip = createFilmstrip(analysis, store, actions);
  const query = createQueryControls(analysis, store, actions);
  const layer = createLayerControls(analysis, actions);
  const overlays = createOverlayControls(actions);
  const evidence = createEvidenceControls(analysis, store, actions);
  const figure = createFigurePanel(analysis, store, actions, evidence.row);
  const controls = element("div", { class: "controls" }, [
    query.element,
    layer.element,
    overlays.element,
    evidence.element,
  ]);
  return {
    filmstrip,
    query,
    layer,
    overlays,
    evidence,
    figure,
    elements: [
      createHeader(analysis),
      stage.element,
      filmstrip.element,
      controls,
      figure.element,
      createFooter(analysis),
    ],
  };
}
