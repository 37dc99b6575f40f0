/**
 * Mouse, pen and touch on a pane, as what they mean: hover, choose, clear, pan, zoom.
 *
 * Mouse: moving hovers, a click chooses, a double click clears, dragging pans a zoomed picture, the wheel with Ctrl
 * zooms. Touch: a tap chooses, a double tap clears, dragging sideways hovers (pans when zoomed), two fingers zoom;
 * dragging up or down is left to the page.
 *
 * @typedef {object} Meanings places are CSS pixels from the pane's corner
 * @property {(x: number, y: number) => void} hover
 * @property {() => void} leave
 * @property {(x: number, y: number) => void} choose
 * @property {() => void} clear
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom
 * @property {() => boolean} isZoomed
 */

/** A press that moves less than this is a click. */
const STILL = 5;
const DOUBLE_TIME = 350;
const DOUBLE_REACH = 24;

/**
 * @param {HTMLElement} pane @param {Meanings} meanings
 * @returns {() => void} stops listening
 */
export function listenToPointer(pane, meanings) {
  /** @type {Map<number, {x: number, y: number}>} pointers that are down */
  const down = new Map();
  let start = { x: 0, y: 0 };
  let moved = false;
  let last = { time: -Infinity, x: 0, y: 0 };

  const place = (event) => {
    const box = pane.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  function onDown(event) {
    if (event.button > 0) return;
    const at = place(event);
    down.set(event.pointerId, at);
    if (down.size === 1) {
      start = at;
      moved = false;
    } else {
      moved = true;
    }
    pane.setPointerCapture(event.pointerId);
  }

  function onMove(event) {
    const at = place(event);
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") meanings.hover(at.x, at.y);
      return;
    }
    if (Math.hypot(at.x - start.x, at.y - start.y) > STILL) moved = true;
    if (down.size === 2) pinch(event.pointerId, before, at);
    else if (moved && meanings.isZoomed()) meanings.pan(at.x - before.x, at.y - before.y);
    else if (event.pointerType === "touch" ? moved : true) meanings.hover(at.x, at.y);
    down.set(event.pointerId, at);
  }

  function pinch(id, before, at) {
    const other = [...down].find(([number]) => number !== id)[1];
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(at.x - other.x, at.y - other.y);
    if (was > 0 && is > 0) meanings.zoom(is / was, (at.x + other.x) / 2, (at.y + other.y) / 2);
    meanings.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
  }

  function onUp(event) {
    if (!down.delete(event.pointerId)) return;
    if (event.pointerType === "touch") meanings.leave();
    if (moved || down.size > 0) return;
    const at = place(event);
    const near = Math.hypot(at.x - last.x, at.y - last.y) < DOUBLE_REACH;
    if (near && event.timeStamp - last.time < DOUBLE_TIME) {
      last.time = -Infinity;
      meanings.clear();
    } else {
      last = { time: event.timeStamp, ...at };
      meanings.choose(at.x, at.y);
    }
  }

  function onCancel(event) {
    down.delete(event.pointerId);
    meanings.leave();
  }

  function onWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // without a key the wheel scrolls the page
    event.preventDefault();
    const at = place(event);
    meanings.zoom(Math.exp(-event.deltaY * 0.004), at.x, at.y);
  }

  const listeners = {
    pointerdown: onDown,
    pointermove: onMove,
    pointerup: onUp,
    pointercancel: onCancel,
    pointerleave: (event) => down.has(event.pointerId) || meanings.leave(),
  };
  for (const [name, listener] of Object.entries(listeners)) pane.addEventListener(name, listener);
  pane.addEventListener("wheel", onWheel, { passive: false });
  return () => {
    for (const [name, listener] of Object.entries(listeners)) pane.removeEventListener(name, listener);
    pane.removeEventListener("wheel", onWheel);
  };
}
