/**
 * What is read from the analysis for a state: the points of a place, ranges, and plain words for them.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 * @typedef {import("./state.js").State} State
 */
import { readable } from "./colour_maps.js";
import { evidenceKey } from "./payload.js";
import { samplingPoints, strongest } from "./points.js";
import { rangeOf, weightRange } from "./scales.js";

/**
 * @param {Analysis} analysis @param {State} state @param {{x: number, y: number}} place
 * @returns {{points: import("./points.js").SamplingPoints, range: number[]} | null} null if the frame attends to nothing
 */
export function pointsAt(analysis, state, place) {
  const layer = analysis.layer.get(state.layer);
  const earlier = state.levels === 2 ? layer.earlier : null;
  const points = samplingPoints(layer, earlier, state.t, place.x, place.y, analysis.frames.length);
  if (!points) return null;
  return { points, range: weightRange(layer, state.levels, state.t, state.scope, points.weights) };
}

/** The picture of class evidence that a state shows. @returns {import("./payload.js").EvidenceMap} */
export const evidenceOf = (analysis, state) => analysis.evidence.get(evidenceKey(state.evidence));

/** Class evidence starts at 0 and reaches 1 in the clip; a frame is scaled to its own largest value. */
export function evidenceRange({ grid, cells }, t, scope) {
  if (scope === "clip") return [0, 1];
  const count = grid.rows * grid.columns;
  return [0, rangeOf(cells, t * count, (t + 1) * count)[1]];
}

/** How far a point was moved, in words: "12 px right, 3 px up". */
export function movement(dx, dy) {
  const parts = [];
  if (Math.abs(dx) >= 0.5) parts.push(`${Math.round(Math.abs(dx))} px ${dx > 0 ? "right" : "left"}`);
  if (Math.abs(dy) >= 0.5) parts.push(`${Math.round(Math.abs(dy))} px ${dy > 0 ? "down" : "up"}`);
  return parts.join(", ") || "not moved";
}

/** The same for narrow places: "→ 12 ↑ 3". */
export function movementSigns(dx, dy) {
  const parts = [];
  if (Math.abs(dx) >= 0.5) parts.push(`${dx > 0 ? "→" : "←"} ${Math.round(Math.abs(dx))}`);
  if (Math.abs(dy) >= 0.5) parts.push(`${dy > 0 ? "↓" : "↑"} ${Math.round(Math.abs(dy))}`);
  return parts.join("  ") || "–";
}

/** The query's strongest points in one sentence, for screen readers. */
export function description(analysis, state) {
  const found = pointsAt(analysis, state, state);
  const place = `Frame ${state.t}, point ${Math.round(state.x)}, ${Math.round(state.y)}, layer ${state.layer}`;
  if (!found) return `${place}: this frame attends to no other.`;
  const { points } = found;
  const best = strongest(points.weights, 3).map(
    (i) =>
      `${Math.round(points.x[i])}, ${Math.round(points.y[i])} with weight ${readable(points.weights[i])}, ` +
      `${movement(points.x[i] - points.baseX[i], points.y[i] - points.baseY[i])}`,
  );
  const outside = points.inFrame.filter((isInside) => !isInside).length;
  const more = outside ? ` ${outside} of them fall outside the picture.` : "";
  return `${place}: ${points.weights.length} sampling points in frame ${points.frame}; strongest: ${best.join("; ")}.${more}`;
}
