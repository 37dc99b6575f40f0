/**
 * What the front end asks, whoever answers: a server, a recording, a network in the browser.
 *
 * Every question is one plain object, every answer is one, and has the names of the server's own endpoints; they are
 * described in docs/api.md. A token names an opened clip.
 *
 * @typedef {{done: number, step: string}} Progress how much is done, 0..1, and what is being done
 * @typedef {{tell?: (progress: Progress) => void, signal?: AbortSignal}} Options `signal` says that nobody waits any more
 * @typedef {(question: Record<string, any>, options?: Options) => Promise<any>} Question rejects with one sentence
 *
 * @typedef {object} Engine
 * @property {Question} open {example, start?, stride?}, {clip: file} or {token, second, stride}: a clip of the page's own
 *   or a visitor's, or another moment of a video; the answer has its token, what is to be said of it, and its payload
 * @property {Question} whole_video {token}: movement and classes of all of the video, a Plotly figure
 * @property {Question} layer {token, model, layer}: the arrays of a layer that a payload holds back
 * @property {Question} evidence {token, target, against, method, stage}: one picture of class evidence
 * @property {Question} charts {token, frame, x, y, layer, levels}: Plotly figures of a query
 * @property {Question} faithfulness {token, target, against, method, stage}: whether a picture can be believed
 * @property {Question} offsets {token}: diagnostics, and the matrix of layers and frames
 * @property {Question} distributions {token, layer, frame}: lengths and directions as Plotly figures
 * @property {Question} controls {token}: what becomes of the prediction without motion, direction, order
 * @property {Question} lesson {token, frame, x, y, layer, levels}: the numbers of the equations
 * @property {Question} ablate {token, part, here, frame, x, y, layer, levels}: what changes without a part
 * @property {Question} compare {token, one, other, known}: what two models make of the clip
 * @property {Question} costs {dataset}: the paper's accuracies against cost, a Plotly figure
 * @property {Question} export {token, kind, frame, x, y, layer, levels, target, against, method, stage, paper}: a file
 */

/** Every question of an Engine. */
export const QUESTIONS = /** @type {const} */ ([
  "open",
  "whole_video",
  "layer",
  "evidence",
  "charts",
  "faithfulness",
  "offsets",
  "distributions",
  "controls",
  "lesson",
  "ablate",
  "compare",
  "costs",
  "export",
]);

/** An engine whose questions all go through one function. @param {(name: string, question: Record<string, any>, options: Options) => Promise<any>} ask @returns {Engine} */
export function engineOf(ask) {
  const entries = QUESTIONS.map((name) => [name, (question, options = {}) => ask(name, question, options)]);
  return /** @type {Engine} */ (Object.fromEntries(entries));
}
