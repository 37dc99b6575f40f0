/**
 * The two panes side by side, what is drawn on them, and the lines that run from one to the other.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 * @typedef {import("./state.js").State} State
 * @typedef {import("./points.js").SamplingPoints} SamplingPoints
 */
import { COLOUR_MAPS, PIN_COLOURS, fraction } from "./colour_maps.js";
import { drawArrows, drawGrid, drawLinks, drawPin, drawPinTag, drawPoints } from "./drawing.js";
import { drawQuery, drawQueryPlace, pointRadius } from "./drawing.js";
import { element } from "./elements.js";
import { contributions, heatCache, heatCanvas } from "./heat.js";
import { createPane } from "./pane.js";
import { listenToPointer } from "./pointer.js";
import { strongest } from "./points.js";
import { mapRange, rangeOf } from "./scales.js";
import { evidenceKey } from "./payload.js";
import { evidenceOf, evidenceRange, pointsAt } from "./reading.js";
import { createTip } from "./tip.js";

/** A press this near to a pin means the pin, CSS pixels. */
const PIN_REACH = 13;

/**
 * @param {Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store
 * @param {ReturnType<typeof import("./actions.js").createActions>} actions
 * @param {(place: {x: number, y: number} | null) => void} onHover @param {() => void} onResize
 */
export function createStage(analysis, store, actions, onHover, onResize) {
  const { clip } = analysis;
  const left = createPane({
    name: "here",
    label: "Frame t. Arrow keys move the query, Enter pins it, Escape clears the pins, Space plays.",
    clip,
    isInteractive: true,
    onResize,
  });
  const right = createPane({ name: "there", label: "Frame t + 1 with the sampling points.", clip, onResize });
  const links = element("canvas", { class: "links", "aria-hidden": "true" });
  const tip = createTip();
  const shape = clip.width >= clip.height ? "wide" : "tall";
  const stage = element("div", { class: `stage ${shape}` }, [left.element, right.element, links, tip.element]);
  stage.style.setProperty("--aspect", String(clip.width / clip.height));
  const cached = heatCache();
  const isTouch = matchMedia("(hover: none)").matches;
  const hint = isTouch ? "tap to pin, double-tap to clear" : "hover to look, click to pin, double-click to clear";
  /** @type {{points: SamplingPoints, range: number[]} | null} */
  let shown = null;

  const placeIn = (pane, x, y) => {
    const at = pane.projection(store.get().view);
    return { x: at.clipX(x), y: at.clipY(y) };
  };
  const navigation = (pane) => ({
    pan(dx, dy) {
      const at = pane.projection(store.get().view);
      actions.pan(dx / at.scaleX, dy / at.scaleY);
    },
    zoom(factor, x, y) {
      const place = placeIn(pane, x, y);
      actions.zoom(factor, place.x, place.y);
    },
    isZoomed: () => store.get().view.zoom > 1,
  });
  const stopLeft = listenToPointer(left.screen, {
    ...navigation(left),
    hover: (x, y) => onHover(placeIn(left, x, y)),
    leave: () => onHover(null),
    choose(x, y) {
      const at = left.projection(store.get().view);
      const near = ({ x: pinX, y: pinY }) => Math.hypot(at.screenX(pinX) - x, at.screenY(pinY) - y) < PIN_REACH;
      const pin = store.get().pins.findLastIndex(near);
      const place = placeIn(left, x, y);
      if (pin >= 0) actions.choosePin(pin);
      else actions.pin(place.x, place.y);
    },
    clear: actions.clearPins,
  });
  const showTip = (x, y) => tip.show(shown, right, store.get().view, x, y);
  const stopRight = listenToPointer(right.screen, {
    ...navigation(right),
    hover: showTip,
    choose: showTip,
    leave: tip.hide,
    clear: tip.hide,
  });

  /** The heat maps that lie over a frame; motion and saliency belong to the later frame of their pair. */
  function heatsOver(frame, state, isNext) {
    const layer = analysis.layer.get(state.layer);
    const heats = [];
    /** @param {string} name of the overlay @param {string} of what @param {number} t which of the maps in `values` */
    const add = (name, of, values, grid, t, range) => {
      const paint = () => heatCanvas(values, t * grid.rows * grid.columns, grid, range, COLOUR_MAPS[name]);
      heats.push({ canvas: cached(`${name} ${of} ${t} ${range}`, paint), alpha: state.opacity[name] });
    };
    if (state.overlays.evidence) {
      const map = evidenceOf(analysis, state);
      add("evidence", evidenceKey(state.evidence), map.cells, map.grid, frame, evidenceRange(map, frame, state.scope));
    }
    if (state.overlays.saliency && isNext && state.t < layer.attended) {
      const range = mapRange(layer.saliency, layer.grid.rows * layer.grid.columns, state.t, state.scope);
      add("saliency", layer.name, layer.saliency, layer.grid, state.t, range);
    }
    if (state.overlays.motion && isNext && state.t < analysis.motion.pairs) {
      const { grid, cells } = analysis.motion;
      add("motion", "", cells, grid, state.t, mapRange(cells, grid.rows * grid.columns, state.t, state.scope));
    }
    return heats;
  }

  function drawPictures(state) {
    const following = Math.min(state.t + 1, analysis.frames.length - 1);
    const time = ({ time: seconds }) => `${seconds.toFixed(2)} s`;
    const isLast = following === state.t;
    left.setCaption(`Frame ${state.t}`, time(analysis.frames[state.t]), hint);
    right.setCaption(
      `Frame ${following}`,
      time(analysis.frames[following]),
      isLast ? "the last frame looks at itself" : "where the network looks",
    );
    left.drawPicture(analysis.frames[state.t].image, heatsOver(state.t, state, false), state.view);
    right.drawPicture(analysis.frames[following].image, heatsOver(following, state, true), state.view);
  }

  /** Marks are a little smaller on small panes. */
  const unitOf = ({ size }) => Math.min(1, Math.max(0.72, size.width / 560));

  /** @param {State} state @param {{x: number, y: number}} place @param {boolean} isHover */
  function drawMarks(state, place, isHover) {
    const { overlays, opacity, view, pins, active } = state;
    const layer = analysis.layer.get(state.layer);
    shown = pointsAt(analysis, state, place);
    const here = left.projection(view);
    const there = right.projection(view);
    const unit = unitOf(left);
    const leftMarks = left.clearMarks();
    const rightMarks = right.clearMarks();
    if (shown && overlays.weights) {
      const total = contributions(shown.points, layer.grid);
      const heat = heatCanvas(total, 0, layer.grid, [0, Math.max(rangeOf(total)[1], 1e-9)], COLOUR_MAPS.weights);
      const { width, height } = right.size;
      const x = heat.width / clip.width;
      const y = heat.height / clip.height;
      const part = { width: heat.width / view.zoom, height: heat.height / view.zoom };
      rightMarks.globalAlpha = opacity.weights;
      rightMarks.drawImage(heat, view.left * x, view.top * y, part.width, part.height, 0, 0, width, height);
      rightMarks.globalAlpha = 1;
    }
    pins.forEach((pin, i) => {
      const isQuery = i === active && !isHover;
      drawPin(leftMarks, here.screenX(pin.x), here.screenY(pin.y), i + 1, PIN_COLOURS[i], isQuery);
      const others = isQuery || !overlays.points ? null : pointsAt(analysis, state, pin);
      const style = { ...right.size, ring: PIN_COLOURS[i], alpha: 0.8 * opacity.points, unit: 0.75 * unit };
      if (!others) return;
      drawPoints(rightMarks, others.points, there, others.range, style);
      const [best] = strongest(others.points.weights, 1);
      const tag = /** @type {const} */ ([there.screenX(others.points.x[best]), there.screenY(others.points.y[best])]);
      if (others.points.inFrame[best]) drawPinTag(rightMarks, ...tag, i + 1, PIN_COLOURS[i]);
    });
    if (active < 0 || isHover) drawQuery(leftMarks, here.screenX(place.x), here.screenY(place.y), unit);
    if (shown) {
      drawQueryPlace(rightMarks, there.screenX(place.x), there.screenY(place.y), unit);
      if (overlays.grid) drawGrid(rightMarks, shown.points, there, opacity.grid);
      if (overlays.arrows) drawArrows(rightMarks, shown.points, there, opacity.arrows);
      if (overlays.points) {
        drawPoints(rightMarks, shown.points, there, shown.range, { ...right.size, alpha: opacity.points, unit });
      }
    }
    drawLines(state, place, here, there);
    return shown;
  }

  function drawLines(state, place, here, there) {
    const dots = left.size.width ? left.screen.querySelector("canvas").width / left.size.width : 1;
    const width = Math.round(stage.clientWidth * dots);
    const height = Math.round(stage.clientHeight * dots);
    if (links.width !== width || links.height !== height) Object.assign(links, { width, height });
    const context = links.getContext("2d");
    context.setTransform(dots, 0, 0, dots, 0, 0);
    context.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
    if (!shown || !state.overlays.links) return;
    const corner = ({ screen }) => ({ x: offset(screen, "offsetLeft"), y: offset(screen, "offsetTop") });
    const inPane = (pane, x, y) => x >= 0 && y >= 0 && x <= pane.size.width && y <= pane.size.height;
    const fromX = here.screenX(place.x);
    const fromY = here.screenY(place.y);
    if (!inPane(left, fromX, fromY)) return;
    const { points, range } = shown;
    const from = { x: fromX + corner(left).x, y: fromY + corner(left).y };
    const to = corner(right);
    const ends = [];
    for (const i of strongest(points.weights, 3)) {
      const x = there.screenX(points.x[i]);
      const y = there.screenY(points.y[i]);
      const radius = state.overlays.points ? pointRadius(fraction(points.weights[i], range), unitOf(left)) : 0;
      if (inPane(right, x, y)) ends.push({ x: x + to.x, y: y + to.y, radius });
    }
    drawLinks(context, from, ends, state.opacity.links, unitOf(left));
  }

  /** Distance of a screen's corner from the stage's, borders included. */
  function offset(node, side) {
    const edge = side === "offsetLeft" ? "clientLeft" : "clientTop";
    let total = node[edge];
    for (let at = node; at && at !== stage; at = at.offsetParent) total += at[side];
    return total;
  }

  return {
    element: stage,
    left,
    right,
    drawPictures,
    drawMarks,
    measure() {
      left.measure();
      right.measure();
    },
    destroy() {
      stopLeft();
      stopRight();
      left.destroy();
      right.destroy();
    },
  };
}
