/**
 * Where one query looks in the next frame: the deformable sampling points and their attention weights.
 *
 * The same composition as the Python API's: every point of the layer expands, with two levels, by the offsets of the
 * SIFA layer before it in the same stage at the place it fell on; weights multiply.
 *
 * @typedef {import("./payload.js").Layer} Layer
 * @typedef {object} SamplingPoints
 * @property {Float64Array} x pixels @property {Float64Array} y
 * @property {Float64Array} baseX the same points on the regular grid, before offsets @property {Float64Array} baseY
 * @property {Float64Array} weights
 * @property {boolean[]} inFrame beyond the picture the network reads zeros
 * @property {number} frame the feature frame that the points lie in
 */
import { bilinearReader, contains, toColumn, toPixelX, toPixelY, toRow } from "./geometry.js";

/**
 * The K points around each origin and around its base; all in cells.
 * @param {Layer} layer @param {number} t
 * @param {{column: Float64Array, row: Float64Array, baseColumn: Float64Array, baseRow: Float64Array,
 *   weights: Float64Array}} from
 */
function expand(layer, t, from) {
  const { kernelSize, grid, offset, weights } = layer;
  const taps = kernelSize * kernelSize;
  const cells = grid.rows * grid.columns;
  const reach = Math.floor(kernelSize / 2);
  const count = from.column.length * taps;
  const to = {
    column: new Float64Array(count),
    row: new Float64Array(count),
    baseColumn: new Float64Array(count),
    baseRow: new Float64Array(count),
    weights: new Float64Array(count),
  };
  for (let origin = 0, point = 0; origin < from.column.length; origin++) {
    const read = bilinearReader(from.column[origin], from.row[origin], grid);
    for (let tap = 0; tap < taps; tap++, point++) {
      const map = t * taps + tap;
      const stepColumn = (tap % kernelSize) - reach;
      const stepRow = Math.floor(tap / kernelSize) - reach;
      to.column[point] = from.column[origin] + stepColumn + read(offset, 2 * map * cells);
      to.row[point] = from.row[origin] + stepRow + read(offset, (2 * map + 1) * cells);
      to.baseColumn[point] = from.baseColumn[origin] + stepColumn;
      to.baseRow[point] = from.baseRow[origin] + stepRow;
      to.weights[point] = from.weights[origin] * read(weights, map * cells);
    }
  }
  return to;
}

/**
 * @param {Layer} layer @param {Layer | null} earlier the layer before it in its stage, for two levels
 * @param {number} t @param {number} x pixels @param {number} y pixels @param {number} numFrames T
 * @returns {SamplingPoints | null} null if frame t attends to nothing
 */
export function samplingPoints(layer, earlier, t, x, y, numFrames) {
  if (t >= layer.attended) return null;
  const { grid } = layer;
  const column = Float64Array.of(toColumn(x, grid));
  const row = Float64Array.of(toRow(y, grid));
  let found = expand(layer, t, { column, row, baseColumn: column, baseRow: row, weights: Float64Array.of(1) });
  if (earlier) found = expand(earlier, t, found);
  const pointsX = found.column.map((value) => toPixelX(value, grid));
  const pointsY = found.row.map((value) => toPixelY(value, grid));
  return {
    x: pointsX,
    y: pointsY,
    baseX: found.baseColumn.map((value) => toPixelX(value, grid)),
    baseY: found.baseRow.map((value) => toPixelY(value, grid)),
    weights: found.weights,
    inFrame: Array.from(pointsX, (value, i) => contains(value, pointsY[i], grid)),
    frame: Math.min(t + 1, numFrames - 1),
  };
}

/**
 * Numbers of the points with the largest weights, largest first; ties in the order of the taps.
 * @param {ArrayLike<number>} weights @param {number} count
 * @returns {number[]}
 */
export function strongest(weights, count) {
  const order = Array.from(weights, (_, i) => i);
  return order.sort((a, b) => weights[b] - weights[a] || a - b).slice(0, count);
}
