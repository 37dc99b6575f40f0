/**
 * Marks over the picture: the query, pins, sampling points, the regular grid, offset arrows and the lines to the
 * strongest points. Sizes in CSS pixels; `at` is the projection of the pane (see view.js).
 *
 * @typedef {import("./points.js").SamplingPoints} SamplingPoints
 * @typedef {CanvasRenderingContext2D} Context
 * @typedef {{screenX: (x: number) => number, screenY: (y: number) => number}} Projection
 */
import { COLOUR_MAPS, LINK_COLOUR, QUERY_COLOUR, colourOf, fraction } from "./colour_maps.js";

const DARK = "rgba(8, 10, 14, 0.85)";
const LIGHT = "rgba(255, 255, 255, 0.95)";

/** Radius of the ring that marks the query. */
const QUERY_RADIUS = 9;

/** Radius of a point by its place in the scale; area grows evenly. @param {number} value 0..1 */
export const pointRadius = (value, unit = 1) => unit * Math.sqrt(6 + 52 * value);

/** @param {Context} context */
function circle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

/** A line with a dark edge, visible on any picture. @param {Context} context */
function outlinedStroke(context, colour, width) {
  context.strokeStyle = DARK;
  context.lineWidth = width + 1.6;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

/** Where the query is: a green ring with four ticks. @param {Context} context */
export function drawQuery(context, x, y, unit = 1) {
  context.save();
  context.lineCap = "round";
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + QUERY_RADIUS * dx * unit, y + QUERY_RADIUS * dy * unit);
    context.lineTo(x + 16 * dx * unit, y + 16 * dy * unit);
  }
  outlinedStroke(context, QUERY_COLOUR, 2.4 * unit);
  circle(context, x, y, QUERY_RADIUS * unit);
  outlinedStroke(context, QUERY_COLOUR, 3 * unit);
  circle(context, x, y, 2.4 * unit);
  context.fillStyle = QUERY_COLOUR;
  context.fill();
  context.restore();
}

/** The query's own place in the frame after it, for comparison. @param {Context} context */
export function drawQueryPlace(context, x, y, unit = 1) {
  context.save();
  circle(context, x, y, QUERY_RADIUS * unit);
  context.strokeStyle = DARK;
  context.lineWidth = 3.2 * unit;
  context.stroke();
  context.setLineDash([4 * unit, 3.07 * unit]); // eight dashes round the ring
  context.strokeStyle = QUERY_COLOUR;
  context.lineWidth = 2 * unit;
  context.stroke();
  context.restore();
}

/** A numbered pin. @param {Context} context @param {boolean} active */
export function drawPin(context, x, y, number, colour, active) {
  context.save();
  circle(context, x, y, 9);
  context.fillStyle = colour;
  context.fill();
  context.strokeStyle = DARK;
  context.lineWidth = 1.5;
  context.stroke();
  if (active) {
    circle(context, x, y, 12);
    outlinedStroke(context, QUERY_COLOUR, 2.2);
  }
  context.fillStyle = "#0b0d10";
  context.font = "700 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(String(number), x, y + 0.5);
  context.restore();
}

/** The number of a pin beside its strongest point. @param {Context} context */
export function drawPinTag(context, x, y, number, colour) {
  context.save();
  circle(context, x + 10, y - 10, 7);
  context.fillStyle = colour;
  context.fill();
  context.strokeStyle = DARK;
  context.lineWidth = 1.2;
  context.stroke();
  context.fillStyle = "#0b0d10";
  context.font = "700 10px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(String(number), x + 10, y - 9.5);
  context.restore();
}

/**
 * The sampling points, weakest first so that the strongest lie on top. A point outside the picture is a hollow ring at
 * the edge nearest to it.
 * @param {Context} context @param {SamplingPoints} points @param {Projection} at @param {number[]} range
 * @param {{width: number, height: number, ring?: string, alpha: number, unit?: number}} style
 */
export function drawPoints(context, points, at, range, { width, height, ring = LIGHT, alpha, unit = 1 }) {
  const order = Array.from(points.weights.keys()).sort((a, b) => points.weights[a] - points.weights[b]);
  context.save();
  context.globalAlpha = alpha;
  for (const i of order) {
    const value = fraction(points.weights[i], range);
    const radius = pointRadius(value, unit);
    let x = at.screenX(points.x[i]);
    let y = at.screenY(points.y[i]);
    if (!points.inFrame[i]) {
      x = Math.min(Math.max(x, 4 * unit), width - 4 * unit);
      y = Math.min(Math.max(y, 4 * unit), height - 4 * unit);
      circle(context, x, y, 3 * unit);
      outlinedStroke(context, ring, 1.2 * unit);
      continue;
    }
    circle(context, x, y, radius + 1.1 * unit);
    context.fillStyle = DARK;
    context.fill();
    circle(context, x, y, radius + 0.3 * unit);
    context.fillStyle = ring;
    context.fill();
    circle(context, x, y, radius - 0.9 * unit);
    context.fillStyle = colourOf(COLOUR_MAPS.weights, value);
    context.fill();
  }
  context.restore();
}

/** The regular grid before offsets: small open squares. @param {Context} context @param {SamplingPoints} points */
export function drawGrid(context, points, at, alpha) {
  context.save();
  context.globalAlpha = alpha;
  context.beginPath();
  const drawn = new Set();
  for (let i = 0; i < points.weights.length; i++) {
    const x = Math.round(at.screenX(points.baseX[i]));
    const y = Math.round(at.screenY(points.baseY[i]));
    const key = `${x},${y}`;
    if (drawn.has(key)) continue; // with two levels, many points share a place of the grid
    drawn.add(key);
    context.rect(x - 3.5, y - 3.5, 7, 7);
  }
  outlinedStroke(context, LIGHT, 1.2);
  context.restore();
}

/** How far each point was moved off the regular grid. @param {Context} context @param {SamplingPoints} points */
export function drawArrows(context, points, at, alpha) {
  context.save();
  context.globalAlpha = alpha;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  for (let i = 0; i < points.weights.length; i++) {
    const fromX = at.screenX(points.baseX[i]);
    const fromY = at.screenY(points.baseY[i]);
    const toX = at.screenX(points.x[i]);
    const toY = at.screenY(points.y[i]);
    const length = Math.hypot(toX - fromX, toY - fromY);
    if (length < 1.5) continue;
    const head = Math.min(7, 0.5 * length);
    const angle = Math.atan2(toY - fromY, toX - fromX);
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
    for (const turn of [2.55, -2.55]) {
      context.moveTo(toX, toY);
      context.lineTo(toX + head * Math.cos(angle + turn), toY + head * Math.sin(angle + turn));
    }
  }
  outlinedStroke(context, "#7fe3ff", 1.3);
  context.restore();
}

/**
 * Lines from the query in frame t to the strongest points in frame t+1, over both pictures.
 * They start and end at the edges of the marks, so that these stay readable.
 * @param {Context} context @param {{x: number, y: number}} from
 * @param {{x: number, y: number, radius: number}[]} ends
 */
export function drawLinks(context, from, ends, alpha, unit = 1) {
  context.save();
  context.globalAlpha = alpha;
  context.lineCap = "round";
  context.beginPath();
  for (const { x, y, radius } of ends) {
    const length = Math.hypot(x - from.x, y - from.y);
    const first = ((QUERY_RADIUS + 2) * unit) / length;
    const last = 1 - (radius + 1) / length;
    if (!(first < last)) continue;
    context.moveTo(from.x + first * (x - from.x), from.y + first * (y - from.y));
    context.lineTo(from.x + last * (x - from.x), from.y + last * (y - from.y));
  }
  context.strokeStyle = "rgba(255, 255, 255, 0.55)";
  context.lineWidth = 3.6 * unit;
  context.stroke();
  context.strokeStyle = LINK_COLOUR;
  context.lineWidth = 2.2 * unit;
  context.stroke();
  context.restore();
}
