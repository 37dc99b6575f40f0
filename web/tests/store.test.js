/**
 * The page's store: whatever order answers come in, only those to the last question of a slot and of the clip are shown.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { engineOf } from "../src/engine/engine.js";
import { createPageStore, whenOpen } from "../src/store.js";

/** An engine whose answers are given by hand, in any order. */
function heldEngine() {
  /** @type {{name: string, question: any, options: any, answer: (value: any) => void, fail: (sentence: string) => void}[]} */
  const asked = [];
  const engine = engineOf(
    (name, question, options) =>
      new Promise((resolve, reject) => {
        asked.push({ name, question, options, answer: resolve, fail: (sentence) => reject(new Error(sentence)) });
      }),
  );
  return { engine, asked };
}

const settled = () => new Promise((done) => setImmediate(done));

/** A store with a clip, what it has been asked, and what was shown. */
function page() {
  const { engine, asked } = heldEngine();
  const store = createPageStore(engine);
  store.set({ token: "clip" });
  const shown = [];
  const failed = [];
  const ask = (slot, question, more = {}) =>
    store.ask(slot, more.name ?? "offsets", question, { shown: (answer) => shown.push(answer), failed: (words) => failed.push(words), ...more });
  return { store, asked, shown, failed, ask };
}

/** All orders of the numbers 0 to count - 1. */
function orders(count) {
  if (count === 0) return [[]];
  return orders(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, place) => [...order.slice(0, place), count - 1, ...order.slice(place)]),
  );
}

for (const order of orders(4)) {
  test(`of four clips that are opened, answered in the order ${order.join(" ")}, only the last is shown`, async () => {
    const { asked, shown, ask } = page();
    for (const number of [0, 1, 2, 3]) ask("open", { number }, { name: "open" });
    await settled();
    for (const number of order) {
      asked[number].answer(number);
      await settled();
    }
    assert.deepEqual(shown, [3]);
    assert.deepEqual(asked.map(({ options }) => options.signal.aborted), [true, true, true, false]);
  });
}

test("of hasty questions in a slot the first and the last are asked, and only the last is shown", async () => {
  const { asked, shown, ask } = page();
  ask("slot", { number: 0 });
  await settled();
  for (const number of [1, 2, 3]) ask("slot", { number });
  await settled();
  assert.deepEqual(asked.map(({ question }) => question.number), [0]);
  asked[0].fail("late, and about something else");
  await settled();
  assert.deepEqual(asked.map(({ question }) => question.number), [0, 3]);
  asked[1].answer(3);
  await settled();
  assert.deepEqual(shown, [3]);
});

test("about another clip is asked at once, whatever is on its way about the one before", async () => {
  const { store, asked, shown, ask } = page();
  ask("slot", { number: 0 });
  await settled();
  store.set({ token: "another" });
  ask("slot", { number: 1 });
  await settled();
  asked[1].answer(1);
  await settled();
  asked[0].answer(0);
  await settled();
  assert.deepEqual(shown, [1]);
});

test("slots do not disturb each other", async () => {
  const { asked, shown, ask } = page();
  ask("one", {});
  ask("other", {});
  await settled();
  asked[1].answer("other");
  asked[0].answer("one");
  await settled();
  assert.deepEqual(shown, ["other", "one"]);
});

test("an answer, an error and progress about the clip before are dropped", async () => {
  const { store, asked, shown, failed, ask } = page();
  const told = [];
  ask("one", {}, { tell: (progress) => told.push(progress) });
  ask("other", {}, { busy: "Running the model" });
  await settled();
  assert.deepEqual(store.get().notice, { busy: "Running the model" });
  store.set({ token: "another" });
  assert.deepEqual(store.get().notice, {});
  asked[0].options.tell({ done: 0.5, step: "half" });
  asked[0].answer("late");
  asked[1].fail("gone");
  await settled();
  assert.deepEqual([shown, failed, told], [[], [], []]);
  assert.deepEqual(store.get().notice, {});
});

test("an error is said", async () => {
  const { store, asked, failed, ask } = page();
  ask("one", {}, { busy: "Running the model" });
  await settled();
  asked[0].fail("There is no such place.");
  await settled();
  assert.deepEqual(failed, ["There is no such place."]);
  assert.deepEqual(store.get().notice, { failure: "There is no such place." });
});

test("what is being done is not said any more once it is done, unless something else is", async () => {
  const { store, asked, ask } = page();
  ask("one", {}, { busy: "First" });
  ask("other", {}, { busy: "Second" });
  await settled();
  asked[0].answer(1);
  await settled();
  assert.deepEqual(store.get().notice, { busy: "Second" });
  asked[1].answer(2);
  await settled();
  assert.deepEqual(store.get().notice, {});
});

test("progress takes the place of what was said to be done", async () => {
  const { store, asked, ask } = page();
  ask("one", {}, { busy: "Sending" });
  await settled();
  asked[0].options.tell({ done: 0.5, step: "Reading" });
  assert.deepEqual(store.get().notice, { busy: "Reading" });
  store.drop("one");
  asked[0].options.tell({ done: 0.9, step: "Running" });
  assert.deepEqual(store.get().notice, {});
});

test("what is not asked any more is given up", async () => {
  const { store, asked, shown, ask } = page();
  ask("one", {}, { busy: "Running the model" });
  await settled();
  store.drop("one");
  assert.deepEqual(store.get().notice, {});
  assert.equal(asked[0].options.signal.aborted, true);
  asked[0].answer(1);
  await settled();
  assert.deepEqual(shown, []);
});

test("a tab is filled when it is opened with a clip, and when another clip comes while it is open", () => {
  const { store } = page();
  const filled = [];
  whenOpen(store, "offsets", (token) => filled.push(token));
  assert.deepEqual(filled, []);
  store.set({ tab: "offsets" });
  store.set({ notice: {} });
  store.set({ token: "another" });
  store.set({ tab: "learn" });
  store.set({ token: "third" });
  store.set({ tab: "offsets" });
  assert.deepEqual(filled, ["clip", "another", "third"]);
});
