/**
 * The keyboard: which key does what, and the list of keys for the help.
 *
 * @typedef {ReturnType<typeof import("./actions.js").createActions>} Actions
 * @typedef {import("./payload.js").Analysis} Analysis
 */

/** Overlays by key. */
export const OVERLAY_KEYS = {
  p: "points",
  t: "links",
  g: "grid",
  a: "arrows",
  w: "weights",
  m: "motion",
  e: "saliency",
  c: "evidence",
};

/** What the help shows: keys and what they do. */
export const KEY_HELP = [
  ["← ↑ → ↓", "move the query; with Shift by one cell"],
  ["Space", "play or stop"],
  [", .", "frame before, frame after"],
  ["L", "next layer"],
  ["D", "one or two levels"],
  ["P T G A", "points, top-3 lines, grid, arrows"],
  ["W M E C", "attention map, motion, motion saliency (Eq. 5), class evidence"],
  ["S", "scale over point, frame or clip"],
  ["Enter", "pin the query"],
  ["Esc", "clear pins"],
  ["+ − 0", "closer, wider, whole picture"],
];

/** Elements that use the keyboard themselves: all of it, Space and Enter, or the arrows. */
const TYPING = "input:not([type=checkbox], [type=range]), select, textarea, [contenteditable=true]";
const PRESSING = "button, summary, a, input[type=checkbox]";
const SLIDING = "input[type=range]";

/** Whether the element that has the focus needs this key. @param {EventTarget} origin @param {string} key */
function isTaken(origin, key) {
  if (!(origin instanceof Element)) return false;
  if (origin.closest(TYPING)) return true;
  if (key === " " || key === "Enter") return origin.closest(PRESSING) !== null;
  return key.startsWith("Arrow") && origin.closest(SLIDING) !== null;
}

/**
 * @param {EventTarget} target where keys are listened to @param {Actions} actions
 * @param {ReturnType<typeof import("./state.js").createStore>} store @param {Analysis} analysis
 * @returns {() => void} stops listening
 */
export function listenToKeys(target, actions, store, analysis) {
  const { width, height } = analysis.clip;
  const small = Math.max(1, Math.round(Math.min(width, height) / 100));

  function arrow(dx, dy, isLarge) {
    const { grid } = analysis.layer.get(store.get().layer);
    const stepX = isLarge ? width / grid.columns : small;
    const stepY = isLarge ? height / grid.rows : small;
    actions.moveBy(dx * stepX, dy * stepY);
  }

  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const bindings = {
    ArrowLeft: (event) => arrow(-1, 0, event.shiftKey),
    ArrowRight: (event) => arrow(1, 0, event.shiftKey),
    ArrowUp: (event) => arrow(0, -1, event.shiftKey),
    ArrowDown: (event) => arrow(0, 1, event.shiftKey),
    " ": () => actions.togglePlaying(),
    Enter: () => actions.pin(store.get().x, store.get().y),
    Escape: () => actions.clearPins(),
    ",": () => actions.step(-1),
    ".": () => actions.step(1),
    l: (event) => actions.stepLayer(event.shiftKey ? -1 : 1),
    d: () => actions.toggleLevels(),
    s: () => actions.nextScope(),
    "+": () => actions.zoom(1.5),
    "=": () => actions.zoom(1.5),
    "-": () => actions.zoom(1 / 1.5),
    0: () => actions.wholePicture(),
  };
  for (const [key, name] of Object.entries(OVERLAY_KEYS)) bindings[key] = () => actions.toggleOverlay(name);

  function onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTaken(event.composedPath()[0], event.key)) return;
    const binding = bindings[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!binding) return;
    event.preventDefault();
    binding(event);
  }

  target.addEventListener("keydown", onKey);
  return () => target.removeEventListener("keydown", onKey);
}
