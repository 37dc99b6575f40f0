/**
 * One analysis on the page: builds the parts, and on every change tells each what it needs, once a screen refresh.
 */
import { createActions } from "./actions.js";
import { rangeOf, mapRange } from "./scales.js";
import { contributions } from "./heat.js";
import { createLayout } from "./layout.js";
import { listenToKeys } from "./keys.js";
import { decodePayload } from "./payload.js";
import { evidenceOf, evidenceRange, pointsAt } from "./reading.js";
import { createStage } from "./stage.js";
import { createStore } from "./state.js";

/** Canvases do not change with the style sheet: tell when the system or the page turns light or dark. */
function watchTheme(changed) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", changed);
  const observer = new MutationObserver(changed);
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributes: true, attributeFilter: ["class", "data-theme"] });
  }
  return () => {
    scheme.removeEventListener("change", changed);
    observer.disconnect();
  };
}

/**
 * @param {HTMLElement} root @param {object} payload
 * @param {{keyTarget: EventTarget, state: object, emit: (event: string, detail: any) => void,
 *   fetchLayer?: import("./state.js").FetchLayer, fetchEvidence?: import("./state.js").FetchEvidence}} options
 */
export function createSession(root, payload, { keyTarget, state: start, emit, fetchLayer, fetchEvidence }) {
  const analysis = decodePayload(payload);
  const store = createStore(analysis, start, { fetchLayer, fetchEvidence });
  const actions = createActions(analysis, store);
  /** @type {{x: number, y: number} | null} where the pointer is, in the clip's pixels */
  let hover = null;
  /** Whether `hover` comes from this viewer's own pointer, so that viewers which follow each other do not echo. */
  let isOwnHover = false;
  let isDestroyed = false;
  const stale = { all: true };
  let request = 0;

  const stage = createStage(analysis, store, actions, onHover, () => schedule(true));
  const parts = createLayout(analysis, store, actions, stage);
  root.replaceChildren(...parts.elements);

  function schedule(isAll) {
    stale.all ||= isAll;
    if (!request && !isDestroyed) request = requestAnimationFrame(draw);
  }

  function onHover(place) {
    hover = place;
    isOwnHover = true;
    schedule(false);
  }

  function draw() {
    request = 0;
    const state = store.get();
    const place = hover ?? state;
    if (stale.all) {
      stage.measure();
      stage.drawPictures(state);
    }
    const shown = stage.drawMarks(state, place, hover !== null);
    parts.query.updatePoints(state, place, shown);
    parts.overlays.updateLegends(legends(state, shown));
    if (stale.all) parts.figure.update(state);
    stale.all = false;
    if (isOwnHover) emit("hover", hover && { t: state.t, ...hover });
    isOwnHover &&= hover !== null;
  }

  /** Ends of the legends of the overlays that are on. */
  function legends(state, shown) {
    const layer = analysis.layer.get(state.layer);
    const cells = layer.grid.rows * layer.grid.columns;
    const following = Math.min(state.t + 1, analysis.frames.length - 1);
    const { overlays, scope, t } = state;
    const { grid, pairs, cells: motion } = analysis.motion;
    return {
      points: overlays.points && shown ? shown.range : null,
      weights: overlays.weights && shown ? [0, rangeOf(contributions(shown.points, layer.grid))[1]] : null,
      saliency: overlays.saliency && t < layer.attended ? mapRange(layer.saliency, cells, t, scope) : null,
      motion: overlays.motion && t < pairs ? mapRange(motion, grid.rows * grid.columns, t, scope) : null,
      evidence: overlays.evidence ? evidenceRange(evidenceOf(analysis, state), following, scope) : null,
    };
  }

  function getState() {
    const state = store.get();
    const found = pointsAt(analysis, state, state);
    const { points } = found ?? {};
    return {
      ...state,
      points: points
        ? {
            points: Array.from(points.x, (x, i) => [x, points.y[i]]),
            base: Array.from(points.baseX, (x, i) => [x, points.baseY[i]]),
            weights: Array.from(points.weights),
            in_frame: points.inFrame,
            frame: points.frame,
          }
        : null,
    };
  }

  function updateParts(state) {
    for (const part of [parts.query, parts.layer, parts.overlays, parts.evidence, parts.filmstrip]) part.update(state);
  }
  store.subscribe((state) => {
    updateParts(state);
    schedule(true);
    emit("change", state);
  });
  const stopKeys = listenToKeys(keyTarget, actions, store, analysis);
  const stopTheme = watchTheme(() => schedule(true));
  const observer = new ResizeObserver(() => schedule(true));
  observer.observe(root);
  updateParts(store.get());
  draw();
  const ready = analysis.ready.then(() => {
    if (!isDestroyed) schedule(true);
  });

  return {
    ready,
    firstEvidence: analysis.ownEvidence,
    getState,
    setState: (patch) => store.set(patch),
    setHover(place) {
      hover = place;
      isOwnHover = false;
      schedule(false);
    },
    destroy() {
      isDestroyed = true;
      cancelAnimationFrame(request);
      observer.disconnect();
      stopTheme();
      stopKeys();
      stage.destroy();
      for (const part of [parts.query, parts.filmstrip]) part.destroy();
      root.replaceChildren();
    },
  };
}
