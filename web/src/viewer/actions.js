/**
 * What a person can do, in terms of the state: the one place that pointer, keyboard and controls share.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 */
import { PIN_COLOURS } from "./colour_maps.js";
import { SCOPES } from "./scales.js";
import { WHOLE, zoomAt } from "./view.js";

/** @param {Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store */
export function createActions(analysis, store) {
  const { width, height } = analysis.clip;

  /** Put the query, and the pin that it sits on, at a place. */
  function moveTo(x, y, t = store.get().t) {
    const { pins, active } = store.get();
    store.set({ t, x, y, pins: pins.map((pin, i) => (i === active ? { x, y } : pin)) });
  }

  return {
    moveTo,
    moveBy(dx, dy) {
      const { x, y } = store.get();
      moveTo(Math.min(Math.max(x + dx, 0), width - 1), Math.min(Math.max(y + dy, 0), height - 1));
    },
    /** Add a pin and ask there; the oldest gives way when all colours are in use. */
    pin(x, y) {
      const pins = [...store.get().pins, { x, y }].slice(-PIN_COLOURS.length);
      store.set({ x, y, pins, active: pins.length - 1 });
    },
    /** Ask at a pin that is there already. */
    choosePin(index) {
      const { pins } = store.get();
      store.set({ ...pins[index], active: index });
    },
    clearPins: () => store.set({ pins: [], active: -1 }),
    /** Go to another frame, round the ends. */
    step(by) {
      const count = analysis.frames.length;
      store.set({ t: (((store.get().t + by) % count) + count) % count });
    },
    goTo: (t) => store.set({ t }),
    chooseLayer: (layer) => store.set({ layer, levels: analysis.layer.get(layer)?.maxLevels }),
    stepLayer(by) {
      const { layers } = analysis;
      const at = layers.findIndex(({ name }) => name === store.get().layer);
      const { name, maxLevels } = layers[(at + by + layers.length) % layers.length];
      store.set({ layer: name, levels: maxLevels });
    },
    chooseLevels: (levels) => store.set({ levels }),
    toggleLevels: () => store.set({ levels: store.get().levels === 1 ? 2 : 1 }),
    toggleOverlay(name) {
      const { overlays } = store.get();
      store.set({ overlays: { ...overlays, [name]: !overlays[name] } });
    },
    setOpacity: (name, value) => store.set({ opacity: { ...store.get().opacity, [name]: value } }),
    /** @param {Partial<import("./payload.js").EvidenceChoice>} evidence */
    chooseEvidence: (evidence) => store.set({ evidence: /** @type {any} */ (evidence) }),
    showPaper: (paper) => store.set({ paper }),
    chooseScope: (scope) => store.set({ scope }),
    nextScope: () => store.set({ scope: SCOPES[(SCOPES.indexOf(store.get().scope) + 1) % SCOPES.length] }),
    togglePlaying: () => store.set({ playing: !store.get().playing }),
    zoom(factor, x = store.get().x, y = store.get().y) {
      store.set({ view: zoomAt(store.get().view, factor, x, y, analysis.clip) });
    },
    /** Move the picture by pixels of the clip. */
    pan(dx, dy) {
      const { view } = store.get();
      store.set({ view: { ...view, left: view.left - dx, top: view.top - dy } });
    },
    wholePicture: () => store.set({ view: WHOLE }),
  };
}
