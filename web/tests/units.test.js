/**
 * The viewer's arithmetic, under node's own test runner: numbers, geometry, composition, scales, colours, state.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { COLOUR_MAPS, colourOf, PIN_COLOURS, QUERY_COLOUR, readable, fraction } from "../src/viewer/colour_maps.js";
import { decodeFloat16, halfToNumber } from "../src/viewer/float16.js";
import { bilinearReader, contains, toColumn, toPixelX, toPixelY, toRow } from "../src/viewer/geometry.js";
import { colourise, contributions } from "../src/viewer/heat.js";
import { samplingPoints, strongest } from "../src/viewer/points.js";
import { movement, movementSigns } from "../src/viewer/reading.js";
import { mapRange, rangeOf, weightRange } from "../src/viewer/scales.js";
import { addEvidence, evidenceKey } from "../src/viewer/payload.js";
import { createStore } from "../src/viewer/state.js";
import { createActions } from "../src/viewer/actions.js";
import { projection, WHOLE, withinPicture, zoomAt } from "../src/viewer/view.js";
import { fileStem } from "../src/viewer/figure_panel.js";

const HALF_ONE = 0x3c00;
const GRID = { rows: 4, columns: 5, height: 80, width: 130 };
const near = (actual, expected, tolerance = 1e-9) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

/** A layer whose offset, weight and saliency are the same everywhere, or as functions of the cell say. */
function layerOf({ kernelSize = 3, attended = 2, offset = () => 0, weight = () => 1, earlier = null } = {}) {
  const taps = kernelSize ** 2;
  const cells = GRID.rows * GRID.columns;
  const fill = (length, value) => Float32Array.from({ length }, (_, i) => value(Math.floor(i / cells), i % cells));
  return {
    name: "res5.1",
    stage: "res5",
    kernelSize,
    attended,
    maxLevels: earlier ? 2 : 1,
    grid: GRID,
    offset: fill(attended * taps * 2 * cells, offset),
    weights: fill(attended * taps * cells, weight),
    saliency: fill(attended * cells, (t, cell) => t + cell),
    earlier,
    statistics: {},
  };
}

test("float16: zero, one, the smallest, the largest, infinities and not-a-number", () => {
  assert.equal(halfToNumber(0x0000), 0);
  assert.equal(halfToNumber(0x3c00), 1);
  assert.equal(halfToNumber(0xc500), -5);
  assert.equal(halfToNumber(0x0001), 2 ** -24);
  assert.equal(halfToNumber(0x7bff), 65504);
  assert.equal(halfToNumber(0xfc00), -Infinity);
  assert.ok(Number.isNaN(halfToNumber(0x7e00)));
});

test("float16 text is little-endian and of the length expected", () => {
  const text = Buffer.from([0x00, 0x3c, 0x00, 0xc5]).toString("base64");
  assert.deepEqual([...decodeFloat16(text, 2)], [1, -5]);
  assert.throws(() => decodeFloat16(text, 3), /expected 3 numbers, got 2/);
});

test("cells and pixels: the design's formula, there and back", () => {
  near(toPixelX(0, GRID), 0.5 * 26 - 0.5);
  near(toPixelY(3, GRID), 3.5 * 20 - 0.5);
  near(toColumn(toPixelX(1.7, GRID), GRID), 1.7);
  near(toRow(toPixelY(-0.3, GRID), GRID), -0.3);
  assert.ok(contains(-0.5, 79.5, GRID));
  assert.ok(!contains(-0.51, 0, GRID));
});

test("between cells values are bilinear, beyond the edge the edge's", () => {
  const values = Float32Array.from({ length: 40 }, (_, i) => i);
  near(bilinearReader(1.25, 2.5, GRID)(values, 20), 20 + 2.5 * 5 + 1.25);
  near(bilinearReader(-3, 9, GRID)(values, 0), 15);
});

test("without offsets the points are the regular grid round the query", () => {
  const points = samplingPoints(layerOf(), null, 0, 60, 30, 2);
  assert.equal(points.x.length, 9);
  near(points.x[0], 60 - 26);
  near(points.y[0], 30 - 20);
  near(points.x[5], 60 + 26);
  assert.deepEqual([...points.x], [...points.baseX]);
  assert.equal(points.frame, 1);
});

test("the first number of an offset goes right, the second down, both in cells", () => {
  const offset = (map) => (map % 2 ? 0.5 : 2);
  const points = samplingPoints(layerOf({ offset }), null, 1, 60, 30, 2);
  near(points.x[4] - points.baseX[4], 2 * 26);
  near(points.y[4] - points.baseY[4], 0.5 * 20);
  assert.equal(points.frame, 1, "the last frame looks at itself");
});

test("two levels expand every point by the earlier layer where it fell, and multiply weights", () => {
  const earlier = layerOf({
    offset: (map, cell) => (map % 2 ? 0 : 0.1 * (cell % GRID.columns)),
    weight: (map) => 1 + (map % 9),
  });
  const layer = layerOf({ offset: (map) => (map % 2 ? 0 : 1), weight: (map) => 10 * (1 + (map % 9)), earlier });
  const points = samplingPoints(layer, earlier, 0, toPixelX(1, GRID), toPixelY(1, GRID), 2);
  assert.equal(points.x.length, 81);
  // Tap 4 of the layer falls on column 1 + 1 = 2; there the earlier layer's offset is 0.2; its tap 5 steps one right.
  near(toColumn(points.x[4 * 9 + 5], GRID), 2 + 1 + 0.2, 1e-6);
  near(toColumn(points.baseX[4 * 9 + 5], GRID), 1 + 1);
  near(points.weights[4 * 9 + 5], 10 * 5 * 6);
});

test("a frame that attends to nothing has no points", () => {
  assert.equal(samplingPoints(layerOf({ attended: 1 }), null, 1, 5, 5, 2), null);
});

test("strongest: largest first, ties in order", () => {
  assert.deepEqual(strongest([1, 3, 2, 3], 3), [1, 3, 2]);
});

test("contributions spread a weight over the four cells it reads, and nothing beyond the map", () => {
  const points = {
    weights: [2, 4],
    x: [toPixelX(1.25, GRID), toPixelX(-0.5, GRID)],
    y: [toPixelY(2, GRID), toPixelY(0, GRID)],
  };
  const total = contributions(points, GRID);
  near(total[2 * 5 + 1], 1.5, 1e-6);
  near(total[2 * 5 + 2], 0.5, 1e-6);
  near(total[0], 2, 1e-6);
  near(total.reduce((sum, value) => sum + value), 4, 1e-6);
});

test("ranges over frame and clip", () => {
  const layer = layerOf();
  assert.deepEqual(mapRange(layer.saliency, 20, 1, "frame"), [1, 20]);
  assert.deepEqual(mapRange(layer.saliency, 20, 1, "clip"), [0, 20]);
  assert.deepEqual(rangeOf([]), [0, 0]);
});

test("ranges of weights: of the query, of the frame, of the clip, for one level and two", () => {
  const earlier = layerOf({ weight: () => 2 });
  const layer = layerOf({ weight: (map) => 1 + map, earlier });
  assert.deepEqual(weightRange(layer, 1, 0, "point", [0.5, 0.7]), [0.5, 0.7]);
  assert.deepEqual(weightRange(layer, 1, 0, "frame", []), [1, 9]);
  assert.deepEqual(weightRange(layer, 1, 0, "clip", []), [1, 18]);
  assert.deepEqual(weightRange(layer, 2, 1, "frame", []), [20, 36]);
  assert.deepEqual(weightRange(layer, 2, 1, "clip", []), [2, 36]);
});

test("colour maps have 256 colours and grow steadily lighter", () => {
  for (const map of Object.values(COLOUR_MAPS)) {
    assert.equal(map.css.length, 256);
    const channel = (byte) => (byte <= 10 ? byte / 3294.6 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
    const light = Array.from({ length: 256 }, (_, i) => {
      const [red, green, blue] = map.bytes.slice(3 * i, 3 * i + 3);
      return Math.cbrt(0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue));
    });
    for (let i = 8; i < 256; i += 8) assert.ok(light[i] > light[i - 8]);
  }
  assert.equal(colourOf(COLOUR_MAPS.weights, 0), "#000004");
  assert.equal(colourOf(COLOUR_MAPS.motion, 1), "#fde725");
  assert.equal(new Set([...PIN_COLOURS, QUERY_COLOUR]).size, PIN_COLOURS.length + 1);
});

test("heat maps colour the cells' centres with the cells' values", () => {
  const grid = { rows: 1, columns: 2, width: 4, height: 2 };
  const pixels = colourise(Float32Array.of(0, 1), 0, grid, [0, 1], COLOUR_MAPS.motion, { width: 4, height: 2 }, () => 1);
  assert.deepEqual([...pixels.slice(0, 4)], [68, 1, 84, 255]);
  assert.deepEqual([...pixels.slice(12, 16)], [253, 231, 37, 255]);
});

test("fraction and readable numbers", () => {
  assert.equal(fraction(5, [0, 10]), 0.5);
  assert.equal(fraction(5, [5, 5]), 0);
  assert.equal(fraction(50, [0, 10]), 1);
  assert.deepEqual([0, 0.0312, 1.234, 45.67, 1234.5, 0.0000123].map(readable), ["0", "0.031", "1.23", "45.7", "1235", "1.2e-5"]);
});

test("movements in words and signs", () => {
  assert.equal(movement(12.3, -3), "12 px right, 3 px up");
  assert.equal(movement(0.2, 0.1), "not moved");
  assert.equal(movementSigns(-12.3, 3), "← 12  ↓ 3");
});

test("zooming keeps the place under the pointer, and the view stays inside the picture", () => {
  const clip = { width: 200, height: 100 };
  const size = { width: 400, height: 200 };
  const before = projection(WHOLE, clip, size);
  const view = zoomAt(WHOLE, 2, 150, 30, clip);
  const after = projection(view, clip, size);
  near(after.screenX(150), before.screenX(150));
  near(after.screenY(30), before.screenY(30));
  near(after.clipX(after.screenX(33)), 33);
  assert.deepEqual(withinPicture({ zoom: 2, left: 500, top: -4 }, clip), { zoom: 2, left: 100, top: 0 });
  assert.equal(zoomAt(WHOLE, 1e9, 0, 0, clip).zoom, 10);
  assert.deepEqual(withinPicture({ zoom: NaN, left: NaN, top: NaN }, clip), { ...WHOLE });
});

/** A picture of class evidence as it is sent. */
function evidenceMap({ method, stage, target, against }) {
  const named = (index) => (index === null ? null : { index, label: ["left", "right", "still"][index] });
  const cells = Buffer.from(Uint16Array.from({ length: 3 * 2 }, () => HALF_ONE).buffer).toString("base64");
  return { method, stage, target: named(target), against: named(against), rows: 1, columns: 2, cells };
}

function storeOf(fetchLayer = undefined, fetchEvidence = undefined) {
  const earlier = { ...layerOf(), name: "res5.0" };
  const layer = layerOf({ earlier });
  const analysis = {
    clip: { width: 130, height: 80 },
    frames: [{}, {}, {}],
    layers: [earlier, layer],
    layer: new Map([["res5.0", earlier], ["res5.1", layer]]),
    model: { classes: ["left", "right", "still"] },
    methods: [
      { name: "integrated_gradients", title: "Integrated gradients", words: "", stage: "res2" },
      { name: "grad_cam", title: "Grad-CAM", words: "", stage: "res5" },
    ],
    stages: ["res2", "res5"],
    evidence: new Map(),
    ownEvidence: { method: "integrated_gradients", stage: "res2", target: 1, against: null },
    paperEvidence: { method: "grad_cam", stage: "res5", target: 1, against: null },
    start: { layer: "res5.1", levels: 2, query: [1, 20, 30], paper: false },
  };
  for (const choice of [analysis.ownEvidence, analysis.paperEvidence]) addEvidence(analysis, evidenceMap(choice));
  const store = createStore(analysis, {}, { fetchLayer, fetchEvidence });
  return { analysis, store, actions: createActions(analysis, store) };
}

/** The arrays of a layer as they are sent, each number being `value`. */
function arraysOf(layer, value) {
  const cells = layer.attended * layer.grid.rows * layer.grid.columns;
  const text = (count) => Buffer.from(Uint16Array.from({ length: count }, () => value).buffer).toString("base64");
  const taps = layer.kernelSize ** 2;
  return { offset: text(2 * taps * cells), weights: text(taps * cells), saliency: text(cells) };
}
test("state: impossible values are put right, unknown names keep what was", () => {
  const { store } = storeOf();
  store.set({ t: 99, x: -50, y: NaN, layer: "res9", levels: 7, scope: "year", overlays: { evil: true, grid: true } });
  const { t, x, y, layer, levels, scope, overlays } = store.get();
  assert.deepEqual({ t, x, y, layer, levels, scope }, { t: 2, x: -0.5, y: 30, layer: "res5.1", levels: 2, scope: "point" });
  assert.equal(overlays.grid, true);
  assert.equal(overlays.points, true);
  assert.ok(!("evil" in overlays));
  store.set({ pins: "nonsense", view: null, opacity: null });
  assert.deepEqual(store.get().pins, []);
});

test("actions: pins move with the query, the oldest gives way, frames go round, layers bring their levels", () => {
  const { store, actions } = storeOf();
  for (let i = 0; i < PIN_COLOURS.length + 1; i++) actions.pin(10 + i, 5);
  assert.equal(store.get().pins.length, PIN_COLOURS.length);
  assert.deepEqual(store.get().pins[0], { x: 11, y: 5 });
  actions.choosePin(2);
  actions.moveBy(1000, 1);
  assert.deepEqual(store.get().pins[2], { x: 129, y: 6 });
  assert.equal(store.get().x, 129);
  actions.clearPins();
  assert.equal(store.get().active, -1);
  actions.step(2);
  assert.equal(store.get().t, 0);
  actions.stepLayer(1);
  assert.deepEqual([store.get().layer, store.get().levels], ["res5.0", 1]);
  actions.toggleLevels();
  assert.equal(store.get().levels, 1, "the first layer of a stage has one level");
});

test("file names are made of harmless letters", () => {
  assert.equal(fileStem("../..\\a b<c>\u202e.mp4"), "a-b-c");
  assert.equal(fileStem("日本.mov"), "日本");
  assert.equal(fileStem("${7*7}"), "7-7");
  assert.equal(fileStem("..."), "clip");
});

test("a layer that was held back is fetched once, and shown when it is here", async () => {
  const asked = [];
  const { analysis, store, actions } = storeOf((name) => {
    asked.push(name);
    return Promise.resolve(arraysOf(analysis.layer.get(name), HALF_ONE));
  });
  const [earlier] = analysis.layers;
  actions.chooseLevels(1);
  Object.assign(earlier, { offset: null, weights: null, saliency: null });
  const states = [];
  store.subscribe(({ layer, note }) => states.push([layer, note]));
  actions.chooseLayer("res5.0");
  store.set({ t: 2 });
  assert.equal(store.get().layer, "res5.1", "what was shown stays");
  await new Promise(setImmediate);
  assert.deepEqual(states, [["res5.1", "Fetching res5.0 …"], ["res5.1", "Fetching res5.0 …"], ["res5.0", ""]]);
  assert.equal(store.get().t, 2);
  assert.equal(earlier.weights.length, 9 * 2 * 20);
  assert.equal(earlier.offset.length, 2 * 9 * 2 * 20);
  assert.ok(earlier.saliency.every((value) => value === 1));
  actions.chooseLayer("res5.1");
  actions.chooseLayer("res5.0");
  assert.equal(store.get().layer, "res5.0");
  assert.deepEqual(asked, ["res5.0"]);
});

test("two levels need the layer before; the latest request counts; a layer that cannot be had is told", async () => {
  const waiting = new Map();
  const { analysis, store, actions } = storeOf((name) => new Promise((give, fail) => waiting.set(name, { give, fail })));
  const [earlier] = analysis.layers;
  actions.chooseLevels(1);
  Object.assign(earlier, { offset: null, weights: null, saliency: null });
  actions.toggleLevels();
  assert.equal(store.get().levels, 1);
  assert.equal(store.get().note, "Fetching res5.0 …");
  waiting.get("res5.0").fail(new Error("This clip is no longer kept here."));
  await new Promise(setImmediate);
  assert.equal(store.get().note, "This clip is no longer kept here.");
  assert.equal(store.get().levels, 1);
  actions.chooseLayer("res5.0");
  store.set({ layer: "res5.1", levels: 1 });
  assert.equal(store.get().layer, "res5.1");
  waiting.get("res5.0").give(arraysOf(earlier, HALF_ONE));
  await new Promise(setImmediate);
  assert.equal(store.get().layer, "res5.1");
  assert.equal(store.get().levels, 1);
  assert.equal(store.get().note, "");
});

test("class evidence: impossible choices are put right, and a method brings its own stage", () => {
  const { store, actions } = storeOf();
  actions.chooseEvidence({ method: "magic", stage: "res9", target: 7, against: 1.5 });
  const own = { method: "integrated_gradients", stage: "res2", target: 1, against: null };
  assert.deepEqual(store.get().evidence, own);
  actions.chooseEvidence({ method: "grad_cam" });
  assert.deepEqual(store.get().evidence, { ...own, method: "grad_cam", stage: "res5" });
  actions.chooseEvidence({ method: "integrated_gradients", against: 1 });
  assert.deepEqual(store.get().evidence, own, "nothing is against itself");
});

test("a picture of class evidence is fetched once; the latest question counts; one that cannot be had is told", async () => {
  const waiting = [];
  const ask = (choice) => new Promise((give, fail) => waiting.push({ choice, give: () => give(evidenceMap(choice)), fail }));
  const { analysis, store, actions } = storeOf(undefined, ask);
  actions.chooseEvidence({ target: 0 });
  actions.chooseEvidence({ target: 2 });
  assert.equal(store.get().evidence.target, 1, "what was shown stays");
  assert.equal(store.get().evidenceNote, "Finding the class evidence …");
  waiting[1].give();
  await new Promise(setImmediate);
  assert.equal(store.get().evidence.target, 2);
  assert.equal(store.get().evidenceNote, "");
  waiting[0].give();
  await new Promise(setImmediate);
  assert.equal(store.get().evidence.target, 2, "a late answer replaces nothing");
  actions.chooseEvidence({ target: 0 });
  assert.equal(store.get().evidence.target, 0);
  assert.equal(waiting.length, 2, "and is here all the same");
  actions.showPaper(true);
  assert.equal(store.get().paper, false);
  assert.deepEqual(waiting[2].choice, { method: "grad_cam", stage: "res5", target: 0, against: null });
  waiting[2].give();
  await new Promise(setImmediate);
  assert.equal(store.get().paper, true);
  assert.ok(analysis.evidence.has(evidenceKey(waiting[2].choice)));
  actions.chooseEvidence({ against: 1 });
  waiting.at(-1).fail(new Error("This clip has made room for others here."));
  await new Promise(setImmediate);
  assert.equal(store.get().evidenceNote, "This clip has made room for others here.");
  assert.equal(store.get().evidence.against, null);
});

test("a file of its own has nobody to ask", async () => {
  const { analysis, store, actions } = storeOf();
  analysis.layers[0].offset = null;
  actions.chooseLayer("res5.0");
  await new Promise(setImmediate);
  assert.equal(store.get().note, "This layer is not in the file.");
  actions.chooseEvidence({ target: 0 });
  await new Promise(setImmediate);
  assert.equal(store.get().evidenceNote, "This picture is not in the file.");
  assert.equal(store.get().evidence.target, 1);
});
