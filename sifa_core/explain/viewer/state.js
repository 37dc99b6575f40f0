/**
 * What is shown, as plain data that can be saved and restored, and the store that tells when it changes.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 * @typedef {object} State
 * @property {number} t feature frame @property {number} x query, pixels @property {number} y
 * @property {string} layer @property {number} levels 1 or 2
 * @property {import("./scales.js").Scope} scope
 * @property {Record<string, boolean>} overlays which are on @property {Record<string, number>} opacity 0..1
 * @property {{x: number, y: number}[]} pins @property {number} active the pin that the query sits on, or -1
 * @property {import("./view.js").View} view @property {boolean} playing
 * @property {string} note what is to be said about a layer that was asked for and is not here (yet)
 *
 * @typedef {(layer: string) => Promise<{offset: string, weights: string, saliency: string}>} FetchLayer
 */
import { PIN_COLOURS } from "./colour_maps.js";
import { fillLayer } from "./payload.js";
import { SCOPES } from "./scales.js";
import { WHOLE, withinPicture } from "./view.js";

const OVERLAYS = { points: true, links: true, grid: false, arrows: false, weights: false, saliency: false, evidence: false };
const OPACITY = { points: 1, links: 0.9, grid: 0.9, arrows: 0.9, weights: 0.75, saliency: 0.7, evidence: 0.7 };

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
    pins: [],
    active: -1,
    view: WHOLE,
    playing: false,
    note: "",
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
  next.pins = (Array.isArray(next.pins) ? next.pins : state.pins)
    .filter((pin) => Number.isFinite(pin?.x) && Number.isFinite(pin?.y))
    .slice(-PIN_COLOURS.length)
    .map(({ x, y }) => ({ x: clampX(x, 0), y: clampY(y, 0) }));
  next.active = Math.round(within(next.active, -1, next.pins.length - 1, -1));
  next.view = withinPicture(next.view ?? state.view, analysis.clip);
  next.playing = Boolean(next.playing);
  next.note = state.note;
  return next;
}

/** Layers without which a state cannot be drawn, and which are not here. */
function missingLayers(analysis, { layer, levels }) {
  const shown = analysis.layer.get(layer);
  return [shown, levels === 2 ? shown.earlier : null].filter((needed) => needed && needed.offset === null);
}

const unavailable = () => Promise.reject(new Error("This layer is not in the file."));

/**
 * A layer whose arrays were held back is fetched when it is first asked for; until then what was shown stays.
 *
 * @param {Analysis} analysis @param {Partial<State>} [start] @param {FetchLayer} [fetchLayer]
 */
export function createStore(analysis, start = {}, fetchLayer = unavailable) {
  let state = initialState(analysis);
  /** @type {Set<(state: State) => void>} */
  const listeners = new Set();
  /** The latest request for a layer: an older one that arrives later is not shown. */
  let latest = 0;

  function commit(next) {
    state = next;
    for (const listener of listeners) listener(state);
  }

  async function fetchThenShow({ layer, levels }, missing) {
    const number = ++latest;
    try {
      await Promise.all(missing.map(async (one) => fillLayer(one, await fetchLayer(one.name))));
      if (number === latest) commit({ ...patched(state, { layer, levels }, analysis), note: "" });
    } catch (error) {
      if (number === latest) commit({ ...state, note: error.message });
    }
  }

  /** @param {Partial<State>} patch */
  function set(patch) {
    const next = patched(state, patch, analysis);
    const missing = missingLayers(analysis, next);
    if (missing.length > 0) {
      const note = `Fetching ${missing.map(({ name }) => name).join(" and ")} …`;
      commit({ ...next, layer: state.layer, levels: state.levels, note });
      fetchThenShow(next, missing);
      return;
    }
    const isAsked = patch.layer !== undefined || patch.levels !== undefined;
    if (isAsked) latest += 1;
    commit(isAsked ? { ...next, note: "" } : next);
  }

  set(start);
  return {
    get: () => state,
    set,
    /** @param {(state: State) => void} listener @returns {() => void} stops listening */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
