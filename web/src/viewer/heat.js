/**
 * Heat maps: values on a layer's cells, made smooth between them and coloured into a small canvas.
 *
 * @typedef {import("./geometry.js").Grid} Grid
 * @typedef {import("./points.js").SamplingPoints} SamplingPoints
 */
import { bilinearReader, toColumn, toRow } from "./geometry.js";
import { fraction } from "./colour_maps.js";

/** Longer side of a heat map's canvas; smooth maps need no more, and the browser enlarges it. */
const LONGEST_SIDE = 192;

/**
 * How much each cell of frame t+1 contributes to what the query receives: every point's weight, spread over the four
 * cells that it reads. Cells outside the map read zeros and get nothing.
 * @param {SamplingPoints} points @param {Grid} grid
 * @returns {Float32Array} [rows, columns]
 */
export function contributions(points, grid) {
  const { rows, columns } = grid;
  const total = new Float32Array(rows * columns);
  for (let point = 0; point < points.weights.length; point++) {
    const column = toColumn(points.x[point], grid);
    const row = toRow(points.y[point], grid);
    const left = Math.floor(column);
    const top = Math.floor(row);
    for (const [i, j] of [[top, left], [top, left + 1], [top + 1, left], [top + 1, left + 1]]) {
      if (i < 0 || j < 0 || i >= rows || j >= columns) continue;
      total[i * columns + j] += points.weights[point] * (1 - Math.abs(row - i)) * (1 - Math.abs(column - j));
    }
  }
  return total;
}

/** Small values are more transparent, so that the picture stays visible. */
const fading = (value) => Math.min(1, 0.05 + 1.25 * value);

/**
 * Colours of a map, row by row, as RGBA bytes.
 * @param {Float32Array} values @param {number} start position of the map's first cell @param {Grid} grid
 * @param {number[]} range @param {import("./colour_maps.js").ColourMap} colours
 * @param {{width: number, height: number}} size @param {(value: number) => number} alphaOf opacity of a value, both 0..1
 */
export function colourise(values, start, grid, range, colours, { width, height }, alphaOf = fading) {
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let i = 0, at = 0; i < height; i++) {
    const row = toRow(((i + 0.5) * grid.height) / height - 0.5, grid);
    for (let j = 0; j < width; j++, at += 4) {
      const column = toColumn(((j + 0.5) * grid.width) / width - 0.5, grid);
      const value = fraction(bilinearReader(column, row, grid)(values, start), range);
      const colour = 3 * Math.round(255 * value);
      pixels[at] = colours.bytes[colour];
      pixels[at + 1] = colours.bytes[colour + 1];
      pixels[at + 2] = colours.bytes[colour + 2];
      pixels[at + 3] = 255 * alphaOf(value);
    }
  }
  return pixels;
}

/** The same as `colourise`, as a canvas to draw. */
export function heatCanvas(values, start, grid, range, colours, alphaOf = fading) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(grid.width, grid.height));
  const width = Math.max(1, Math.round(grid.width * scale));
  const height = Math.max(1, Math.round(grid.height * scale));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pixels = colourise(values, start, grid, range, colours, { width, height }, alphaOf);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

/** A cache of the last few heat maps, so that scrubbing back does not paint again. */
export function heatCache(capacity = 48) {
  /** @type {Map<string, HTMLCanvasElement>} */
  const canvases = new Map();
  return (key, paint) => {
    const canvas = canvases.get(key) ?? paint();
    canvases.delete(key);
    canvases.set(key, canvas);
    if (canvases.size > capacity) canvases.delete(canvases.keys().next().value);
    return canvas;
  };
}
