/**
 * Sampling points are the same in Python and in JavaScript: points.json holds a layer, queries and what Python finds, see
 * tests/viewer/shared_points.py.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { samplingPoints, strongest } from "../src/viewer/points.js";
import shared from "./points.json" with { type: "json" };

const [earlier, later] = shared.layers.map(({ offset, weights }) => ({
  kernelSize: 3,
  attended: 2,
  grid: shared.grid,
  offset: Float32Array.from(offset),
  weights: Float32Array.from(weights),
}));

for (const { query, levels, ...exact } of shared.found) {
  test(`points of (${query.join(", ")}) over ${levels} levels`, () => {
    const [t, x, y] = query;
    const found = samplingPoints(/** @type {any} */ (later), /** @type {any} */ (levels === 2 ? earlier : null), t, x, y, 3);
    const near = (actual, expected) => assert.ok(Math.abs(actual - expected) < 1e-5, `${actual} is not ${expected}`);
    exact.points.forEach(([pointX, pointY], i) => {
      near(found.x[i], pointX);
      near(found.y[i], pointY);
      near(found.baseX[i], exact.base[i][0]);
      near(found.baseY[i], exact.base[i][1]);
      near(found.weights[i], exact.weights[i]);
    });
    assert.equal(found.x.length, exact.points.length);
    assert.deepEqual(found.inFrame, exact.inFrame);
    assert.deepEqual(strongest(found.weights, 3), exact.strongest);
  });
}
