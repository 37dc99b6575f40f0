/**
 * The viewer in an element of any page: `mount(root, payload, options)`.
 *
 * It keeps to `root`, sets no globals and asks the network for nothing itself.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {object} Options
 * @property {Partial<State>} [state] what to show first, as `getState` gave it
 * @property {"auto" | "light" | "dark"} [theme] "auto" follows the page or the system
 * @property {import("./state.js").FetchLayer} [fetchLayer] where the arrays of layers come from that the payload holds back
 * @property {import("./state.js").FetchEvidence} [fetchEvidence] where pictures of class evidence come from that the
 *   payload does not hold
 * @property {EventTarget} [keyTarget] where keys are listened to; `root` unless the viewer has the page to itself
 *
 * @typedef {object} Handle
 * @property {(payload: object) => void} update show another analysis; overlays and opacity stay as they are
 * @property {() => State & {points: object | null}} getState the state, and the sampling points of its query
 * @property {(state: Partial<State>) => void} setState
 * @property {(place: {x: number, y: number} | null) => void} setHover as if the pointer were there; null: nowhere
 * @property {(event: "change" | "hover", listener: (detail: any) => void) => () => void} on returns how to stop;
 *   "hover" tells {t, x, y} of this viewer's own pointer, and null when it leaves
 * @property {import("./payload.js").EvidenceChoice} firstEvidence the class evidence that is shown when nothing is chosen
 * @property {() => void} destroy
 * @property {Promise<void>} ready when every picture can be drawn
 */
import { createSession } from "./session.js";

/**
 * @param {HTMLElement} root its content is replaced @param {object} payload see `sifa_core.explain.payload`
 * @param {Options} [options]
 * @returns {Handle}
 */
export function mount(root, payload, options = {}) {
  /** @type {Record<string, Set<(detail: any) => void>>} */
  const listeners = { change: new Set(), hover: new Set() };
  const emit = (event, detail) => {
    for (const listener of listeners[event]) listener(detail);
  };
  const { keyTarget = root, fetchLayer, fetchEvidence, state: start = {} } = options;
  const open = (shown, state) => createSession(root, shown, { keyTarget, state, emit, fetchLayer, fetchEvidence });
  root.classList.add("sifa-viewer");
  if (options.theme && options.theme !== "auto") root.dataset.theme = options.theme;
  let session = open(payload, start);

  return {
    update(next) {
      const { overlays, opacity, scope, layer, levels, paper } = session.getState();
      session.destroy();
      session = open(next, { overlays, opacity, scope, layer, levels, paper });
    },
    getState: () => session.getState(),
    setState: (state) => session.setState(state),
    setHover: (place) => session.setHover(place),
    on(event, listener) {
      listeners[event].add(listener);
      return () => listeners[event].delete(listener);
    },
    destroy() {
      session.destroy();
      root.classList.remove("sifa-viewer");
    },
    /** The class evidence that is shown when nothing is chosen. */
    get firstEvidence() {
      return session.firstEvidence;
    },
    get ready() {
      return session.ready;
    },
  };
}
