/**
 * From a value in 0..1 to a colour, and which colours stand for what: theme.json says it, to Python as well.
 */
import theme from "../../../sifa_core/explain/viewer/theme.json" with { type: "json" };

const { marks, maps, tables } = theme;

/** @typedef {{bytes: Uint8Array, css: string[]}} ColourMap 256 colours as RGB bytes and as CSS */

/** @param {string} table 256 times RRGGBB @returns {ColourMap} */
function parse(table) {
  const bytes = Uint8Array.from({ length: 768 }, (_, i) => parseInt(table.slice(2 * i, 2 * i + 2), 16));
  const css = Array.from({ length: 256 }, (_, i) => `#${table.slice(6 * i, 6 * i + 6)}`);
  return { bytes, css };
}

/** One map per quantity, so that a legend's colours are never mistaken for another's. */
export const COLOUR_MAPS = {
  weights: parse(tables[maps.weights]),
  motion: parse(tables[maps.motion]),
  saliency: parse(tables[maps.saliency]),
  evidence: parse(tables[maps.evidence]),
};

/** The query is green and the lines to the strongest points are purple, as in the paper's Figure 5. */
export const QUERY_COLOUR = marks.query;
export const LINK_COLOUR = marks.link;

/** The box around what is salient. */
export const BOX_COLOUR = marks.box;

/** Colours of pins: none is green, purple or of the weights' colours, and their lightness differs; pins carry numbers. */
export const PIN_COLOURS = marks.pins;

/** Where `value` lies between the ends of `range`, 0..1; 0 if the range is empty. @param {number} value @param {number[]} range */
export function fraction(value, range) {
  const [low, high] = range;
  return high > low ? Math.min(Math.max((value - low) / (high - low), 0), 1) : 0;
}

/** @param {ColourMap} map @param {number} value 0..1 */
export const colourOf = (map, value) => map.css[Math.round(255 * value)];

/** @param {ColourMap} map CSS gradient from the smallest to the largest value */
export function gradient(map) {
  const stops = Array.from({ length: 9 }, (_, i) => map.css[Math.round((255 * i) / 8)]);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** A number for people: about three digits, no long tails. @param {number} value */
export function readable(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 1) return value.toFixed(size >= 10 ? 1 : 2);
  return size >= 0.0001 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}
