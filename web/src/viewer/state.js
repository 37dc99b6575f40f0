/**
 * What is shown, as plain data that can be saved and restored, and the store that tells when it changes.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 * @typedef {object} State
 * @property {number} t feature frame @property {number} x query, pixels @property {number} y
 * @property {string} layer @property {number} levels 1 or 2
 * @property {import("./scales.js").Scope} scope
 * @property {Record<string, boolean>} overlays which are on @property {Record<string, number>} opacity 0..1
 * @property {import("./payload.js").EvidenceChoice} evidence which picture of class evidence is shown
 * @property {boolean} paper whether the figure shows the paper's own maps
 * @property {{x: number, y: number}[]} pins @property {number} active the pin that the query sits on, or -1
 * @property {import("./view.js").View} view @property {boolean} playing
 * @property {string} note what is to be said about a layer that was asked for and is not here (yet)
 * @property {string} evidenceNote the same of class evidence
 *
 * @typedef {(layer: string) => Promise<{offset: string, weights: string, saliency: string}>} FetchLayer
 * @typedef {(choice: import("./payload.js").EvidenceChoice) => Promise<Record<string, any>>} FetchEvidence a picture of
 *   class evidence as the payload would hold it
 */
import { PIN_COLOURS } from "./colour_maps.js";
import { addEvidence, evidenceKey, fillLayer, paperChoice } from "./payload.js";
import { SCOPES } from "./scales.js";
import { WHOLE, withinPicture } from "./view.js";

const OVERLAYS = {
  points: true,
  links: true,
  grid: false,
  arrows: false,
  weights: false,
  motion: true,
  saliency: false,
  evidence: false,
};
const OPACITY = {
  points: 1,
  links: 0.9,
  grid: 0.9,
  arrows: 0.9,
  weights: 0.75,
  motion: 0.5,
  saliency: 0.7,
  evidence: 0.7,
};

/** @param {Analysis} analysis @returns {State} */
export function initialState(analysis) {
  const [t, x, y] = analysis.start.query;
  return {
    t,
    x,
    y,
    layer: analysis.start.layer,
    levels: analysis.start.levels,
    scope: "point",
    overlays: { ...OVERLAYS },
    opacity: { ...OPACITY },
    evidence: analysis.ownEvidence,
    paper: analysis.start.paper,
    pins: [],
    active: -1,
    view: WHOLE,
    playing: false,
    note: "",
    evidenceNote: "",
  };
}

const within = (value, low, high, otherwise) =>
  Number.isFinite(value) ? Math.min(Math.max(value, low), high) : otherwise;

/**
 * `state` with `patch` applied, and everything impossible put right: unknown names keep what was, numbers are clamped.
 * @param {State} state @param {Partial<State>} patch @param {Analysis} analysis @returns {State}
 */
export function patched(state, patch, analysis) {
  const next = { ...state, ...patch };
  const { width, height } = analysis.clip;
  const clampX = (x, otherwise) => within(x, -0.5, width - 0.5, otherwise);
  const clampY = (y, otherwise) => within(y, -0.5, height - 0.5, otherwise);
  next.t = Math.round(within(next.t, 0, analysis.frames.length - 1, state.t));
  next.x = clampX(next.x, state.x);
  next.y = clampY(next.y, state.y);
  if (!analysis.layer.has(next.layer)) next.layer = state.layer;
  next.levels = Math.round(within(next.levels, 1, analysis.layer.get(next.layer).maxLevels, 1));
  if (!SCOPES.includes(next.scope)) next.scope = state.scope;
  next.overlays = Object.fromEntries(
    Object.keys(OVERLAYS).map((name) => [name, Boolean(next.overlays?.[name] ?? state.overlays[name])]),
  );
  next.opacity = Object.fromEntries(
    Object.keys(OPACITY).map((name) => [name, within(next.opacity?.[name], 0, 1, state.opacity[name])]),
  );
  next.evidence = patchedEvidence(state.evidence, patch.evidence, analysis);
  next.paper = Boolean(next.paper);
  next.pins = (Array.isArray(next.pins) ? next.pins : state.pins)
    .filter((pin) => Number.isFinite(pin?.x) && Number.isFinite(pin?.y))
    .slice(-PIN_COLOURS.length)
    .map(({ x, y }) => ({ x: clampX(x, 0), y: clampY(y, 0) }));
  next.active = Math.round(within(next.active, -1, next.pins.length - 1, -1));
  next.view = withinPicture(next.view ?? state.view, analysis.clip);
  next.playing = Boolean(next.playing);
  next.note = state.note;
  next.evidenceNote = state.evidenceNote;
  return next;
}

/**
 * A choice of class evidence with `patch` applied. Another method is read at its own stage unless one is named.
 * @param {import("./payload.js").EvidenceChoice} evidence @param {any} patch @param {Analysis} analysis
 */
function patchedEvidence(evidence, patch, { methods, stages, model }) {
  const next = { ...evidence, ...patch };
  const isClass = (number) => Number.isInteger(number) && number >= 0 && number < model.classes.length;
  const method = methods.find(({ name }) => name === next.method);
  if (!method) next.method = evidence.method;
  else if (method.name !== evidence.method && !patch.stage) next.stage = method.stage;
  if (!stages.includes(next.stage)) next.stage = evidence.stage;
  if (!isClass(next.target)) next.target = evidence.target;
  if (!isClass(next.against) || next.against === next.target) next.against = null;
  return { method: next.method, stage: next.stage, target: next.target, against: next.against };
}

/** Layers without which a state cannot be drawn, and which are not here. */
function missingLayers(analysis, { layer, levels }) {
  const shown = analysis.layer.get(layer);
  return [shown, levels === 2 ? shown.earlier : null].filter((needed) => needed && needed.offset === null);
}

const unavailable = (what) => () => Promise.reject(new Error(`This ${what} is not in the file.`));

/**
 * What was held back, layers and pictures of class evidence, is fetched when it is first asked for; until then what was
 * shown stays. A later question drops the answer to an earlier one.
 *
 * @param {Analysis} analysis @param {Partial<State>} [start]
 * @param {{fetchLayer?: FetchLayer, fetchEvidence?: FetchEvidence}} [sources]
 */
export function createStore(analysis, start = {}, sources = {}) {
  const { fetchLayer = unavailable("layer"), fetchEvidence = unavailable("picture") } = sources;
  let state = initialState(analysis);
  /** @type {Set<(state: State) => void>} */
  const listeners = new Set();
  /** Numbers of the latest requests: an older one that arrives later is not shown. */
  const latest = { layer: 0, evidence: 0 };

  function commit(next) {
    state = next;
    for (const listener of listeners) listener(state);
  }

  /**
   * @param {"layer" | "evidence"} kind @param {Promise<void>} fetched @param {() => Partial<State>} patch what to show then
   * @param {"note" | "evidenceNote"} note
   */
  async function showThen(kind, fetched, patch, note) {
    const number = ++latest[kind];
    try {
      await fetched;
      if (number === latest[kind]) commit({ ...patched(state, patch(), analysis), [note]: "" });
    } catch (error) {
      if (number === latest[kind]) commit({ ...state, [note]: error.message });
    }
  }

  const fetchLayers = (layers) =>
    Promise.all(layers.map(async (one) => fillLayer(one, await fetchLayer(one.name)))).then(() => undefined);

  const fetchPictures = (choices) =>
    Promise.all(choices.map(async (one) => addEvidence(analysis, await fetchEvidence(one)))).then(() => undefined);

  /** @param {Partial<State>} patch */
  function set(patch) {
    const asked = patched(state, patch, analysis);
    const next = { ...asked };
    const missing = missingLayers(analysis, asked);
    const isLayerAsked = patch.layer !== undefined || patch.levels !== undefined;
    const pictures = asked.paper && sources.fetchEvidence ? [paperChoice(analysis, asked.evidence)] : [];
    const missingPictures = [asked.evidence, ...pictures].filter((one) => !analysis.evidence.has(evidenceKey(one)));
    if (missing.length > 0) {
      next.layer = state.layer;
      next.levels = state.levels;
      next.note = `Fetching ${missing.map(({ name }) => name).join(" and ")} …`;
    } else if (isLayerAsked) {
      latest.layer += 1;
      next.note = "";
    }
    if (missingPictures.length > 0) {
      next.evidence = state.evidence;
      next.paper = state.paper;
      next.evidenceNote = "Finding the class evidence …";
    } else if (patch.evidence !== undefined || patch.paper !== undefined) {
      latest.evidence += 1;
      next.evidenceNote = "";
    }
    commit(next);
    if (missing.length > 0) {
      const { layer, levels } = asked;
      showThen("layer", fetchLayers(missing), () => ({ layer, levels }), "note");
    }
    if (missingPictures.length > 0) {
      const { evidence, paper } = asked;
      showThen("evidence", fetchPictures(missingPictures), () => ({ evidence, paper }), "evidenceNote");
    }
  }

  set(start);
  return {
    /** Whether pictures of class evidence can be had that are not here. */
    canFetchEvidence: sources.fetchEvidence !== undefined,
    get: () => state,
    set,
    /** @param {(state: State) => void} listener @returns {() => void} stops listening */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
