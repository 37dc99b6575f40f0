/**
 * What colours are scaled over: the range of a quantity at the query itself, over the frame or over the clip.
 *
 * @typedef {import("./payload.js").Layer} Layer
 * @typedef {"point" | "frame" | "clip"} Scope
 */
import { toPixelX, toPixelY } from "./geometry.js";
import { samplingPoints } from "./points.js";

/** @type {Scope[]} */
export const SCOPES = ["point", "frame", "clip"];

/** Two-level ranges are read at no more places than give this many points. */
const MOST_POINTS = 100000;

/** @param {ArrayLike<number>} values @param {number} [start] @param {number} [end] @returns {number[]} [low, high] */
export function rangeOf(values, start = 0, end = values.length) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = start; i < end; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return low <= high ? [low, high] : [0, 0];
}

/** The range of maps [A, rows, columns] in frame t or, for "clip", in all. A point has the range of its frame. */
export function mapRange(values, cells, t, scope) {
  return scope === "clip" ? rangeOf(values) : rangeOf(values, t * cells, (t + 1) * cells);
}

/** @type {WeakMap<Layer, Map<number, number[]>>} ranges of two-level weights by layer and frame */
const productRanges = new WeakMap();

/** @param {Layer} layer @param {number} t @returns {number[]} range of the weights' products, read at the cells */
function productRange(layer, t) {
  const ranges = productRanges.get(layer) ?? new Map();
  productRanges.set(layer, ranges);
  if (ranges.has(t)) return ranges.get(t);
  const { grid, kernelSize } = layer;
  const cells = grid.rows * grid.columns;
  const step = Math.max(1, Math.ceil((cells * kernelSize ** 4) / MOST_POINTS));
  let range = [Infinity, -Infinity];
  for (let cell = 0; cell < cells; cell += step) {
    const x = toPixelX(cell % grid.columns, grid);
    const y = toPixelY(Math.floor(cell / grid.columns), grid);
    const [low, high] = rangeOf(samplingPoints(layer, layer.earlier, t, x, y, t + 2).weights);
    range = [Math.min(range[0], low), Math.max(range[1], high)];
  }
  ranges.set(t, range);
  return range;
}

/**
 * What the colours and sizes of sampling points are scaled over.
 * @param {Layer} layer @param {number} levels @param {number} t @param {Scope} scope
 * @param {ArrayLike<number>} weights those of the query shown
 * @returns {number[]} [low, high]
 */
export function weightRange(layer, levels, t, scope, weights) {
  if (scope === "point") return rangeOf(weights);
  if (levels === 1) return mapRange(layer.weights, layer.kernelSize ** 2 * layer.grid.rows * layer.grid.columns, t, scope);
  if (scope === "frame") return productRange(layer, t);
  const all = Array.from({ length: layer.attended }, (_, frame) => productRange(layer, frame));
  return [Math.min(...all.map(([low]) => low)), Math.max(...all.map(([, high]) => high))];
}
