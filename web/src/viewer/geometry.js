/**
 * From cells of a feature map to pixels of the clip and back, and values between cells.
 *
 * Cell (row i, column j) of a map with stride s is centred on pixel ((j + 0.5)s - 0.5, (i + 0.5)s - 0.5).
 *
 * @typedef {{rows: number, columns: number, height: number, width: number}} Grid
 *   a feature map of rows x columns cells over a picture of height x width pixels
 */

/** @param {number} column @param {Grid} grid @returns {number} x in pixels */
export const toPixelX = (column, grid) => (column + 0.5) * (grid.width / grid.columns) - 0.5;

/** @param {number} row @param {Grid} grid @returns {number} y in pixels */
export const toPixelY = (row, grid) => (row + 0.5) * (grid.height / grid.rows) - 0.5;

/** @param {number} x pixels @param {Grid} grid @returns {number} column, between cells */
export const toColumn = (x, grid) => (x + 0.5) / (grid.width / grid.columns) - 0.5;

/** @param {number} y pixels @param {Grid} grid @returns {number} row, between cells */
export const toRow = (y, grid) => (y + 0.5) / (grid.height / grid.rows) - 0.5;

/**
 * Whether a pixel coordinate lies within the picture, whose edges are half a pixel beyond the outer centres.
 * @param {number} x @param {number} y @param {Grid} grid
 */
export const contains = (x, y, grid) => x >= -0.5 && y >= -0.5 && x <= grid.width - 0.5 && y <= grid.height - 0.5;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * A reader of values between the cells of a map at one place; beyond the edge it gives the edge's values.
 * @param {number} column @param {number} row @param {Grid} grid
 * @returns {(values: Float32Array, start: number) => number} takes the position of the map's first cell in `values`
 */
export function bilinearReader(column, row, grid) {
  const { rows, columns } = grid;
  column = clamp(column, 0, columns - 1);
  row = clamp(row, 0, rows - 1);
  const left = Math.floor(column);
  const top = Math.floor(row);
  const right = Math.min(left + 1, columns - 1);
  const bottom = Math.min(top + 1, rows - 1);
  const x = column - left;
  const y = row - top;
  const upperLeft = top * columns + left;
  const upperRight = top * columns + right;
  const lowerLeft = bottom * columns + left;
  const lowerRight = bottom * columns + right;
  return (values, start) => {
    const upper = values[start + upperLeft] * (1 - x) + values[start + upperRight] * x;
    const lower = values[start + lowerLeft] * (1 - x) + values[start + lowerRight] * x;
    return upper * (1 - y) + lower * y;
  };
}
