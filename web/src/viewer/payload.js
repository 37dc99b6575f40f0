/**
 * The payload decoded once: typed arrays per layer, pictures as images.
 *
 * @typedef {import("./geometry.js").Grid} Grid
 * @typedef {object} Layer one SIFA layer; A attended frames, K taps
 * @property {string} name @property {string} stage @property {number} kernelSize @property {number} attended
 * @property {number} maxLevels @property {Grid} grid
 * @property {Float32Array | null} offset [A, K, 2, rows, columns], (x, y) in cells; null until it is fetched
 * @property {Float32Array | null} weights [A, K, rows, columns]; the same
 * @property {Float32Array | null} saliency [A, rows, columns] of Eq. 5; the same
 * @property {(number[] | null)[]} boxes left, top, width, height of its salient region, for each attended frame
 * @property {string} offsetSource a sentence where offsets are computed from something else than Eq. 5, or ""
 * @property {Layer | null} earlier the SIFA layer before it in the same stage
 * @property {Record<string, any>} statistics lists over the attended frames
 *
 * @typedef {{grid: Grid, pairs: number, cells: Float32Array, boxes: (number[] | null)[]}} Motion [pairs, rows, columns]
 * @typedef {{index: number, label: string}} Class
 * @typedef {{method: string, stage: string, target: number, against: number | null}} EvidenceChoice
 * @typedef {object} EvidenceMap one picture of class evidence, [T, rows, columns], 0..1 over the clip
 * @property {Grid} grid @property {Float32Array} cells
 * @property {string} method @property {string} stage @property {Class} target @property {Class | null} against
 * @typedef {{name: string, title: string, words: string, stage: string}} Method
 * @typedef {{t: number, index: number, image: HTMLImageElement}} Thumbnail
 *
 * @typedef {object} Analysis
 * @property {Record<string, any> & {width: number, height: number}} clip @property {Record<string, any>} model
 * @property {{label: string, probability: number}[] | null} predictions of the clip
 * @property {{label: string, probability: number}[] | null} video predictions of the whole video, if they are known
 * @property {{index: number, time: number, image: HTMLImageElement}[]} frames
 * @property {Thumbnail[]} thumbnails
 * @property {Layer[]} layers @property {Map<string, Layer>} layer by name
 * @property {Motion} motion
 * @property {Method[]} methods ways to find class evidence @property {string[]} stages where it can be read
 * @property {Map<string, EvidenceMap>} evidence the pictures that are here, by `evidenceKey`
 * @property {EvidenceChoice} ownEvidence what is shown first @property {EvidenceChoice} paperEvidence as in the paper
 * @property {{layer: string, levels: number, query: number[], paper: boolean}} start
 * @property {Promise<void>} ready when every picture can be drawn
 */
import { decodeFloat16 } from "./float16.js";

export const FORMAT = "sifa-viewer/2";

/**
 * @param {Record<string, any>} payload as `sifa_core.explain.payload` describes it
 * @returns {{layers: Layer[], layer: Map<string, Layer>}}
 */
export function decodeLayers(payload) {
  const { width, height } = payload.clip;
  /** @type {Layer[]} */
  const layers = [];
  for (const raw of payload.layers) {
    const before = layers.at(-1);
    const layer = {
      name: raw.name,
      stage: raw.stage,
      kernelSize: raw.kernel_size,
      attended: raw.attended,
      maxLevels: raw.max_levels,
      grid: { rows: raw.rows, columns: raw.columns, width, height },
      offset: null,
      weights: null,
      saliency: null,
      boxes: raw.boxes,
      offsetSource: raw.offset_source,
      earlier: raw.max_levels > 1 && before ? before : null,
      statistics: raw.statistics,
    };
    if (raw.offset !== null) fillLayer(layer, raw);
    layers.push(layer);
  }
  return { layers, layer: new Map(layers.map((layer) => [layer.name, layer])) };
}

/**
 * Give a layer the arrays that were held back.
 * @param {Layer} layer @param {{offset: string, weights: string, saliency: string}} arrays
 */
export function fillLayer(layer, { offset, weights, saliency }) {
  const { attended, kernelSize, grid } = layer;
  const cells = attended * grid.rows * grid.columns;
  layer.offset = decodeFloat16(offset, 2 * kernelSize ** 2 * cells);
  layer.weights = decodeFloat16(weights, kernelSize ** 2 * cells);
  layer.saliency = decodeFloat16(saliency, cells);
}

/** @param {Record<string, any>} payload @returns {Motion} */
function decodeMotion({ motion, clip: { width, height } }) {
  const { rows, columns, pairs, cells, boxes } = motion;
  return { grid: { rows, columns, width, height }, pairs, cells: decodeFloat16(cells, pairs * rows * columns), boxes };
}

/** @param {EvidenceChoice} choice */
export const evidenceKey = ({ method, stage, target, against }) => `${method} ${stage} ${target} ${against}`;

/** The paper's own picture for the classes that a choice is about. @param {any} analysis @param {EvidenceChoice} choice */
export const paperChoice = ({ paperEvidence }, { target, against }) => ({ ...paperEvidence, target, against });

/** What a picture is of. @param {Record<string, any>} map as `evidence_map` describes it @returns {EvidenceChoice} */
const choiceOf = ({ method, stage, target, against }) => {
  return { method, stage, target: target.index, against: against && against.index };
};

/**
 * Put a picture of class evidence among those that are here.
 * @param {{clip: any, frames: any[], evidence: Map<string, EvidenceMap>}} analysis
 * @param {Record<string, any>} map as `evidence_map` describes it
 */
export function addEvidence({ clip: { width, height }, frames, evidence }, map) {
  const { rows, columns, cells } = map;
  const grid = { rows, columns, width, height };
  const { method, stage, target, against } = map;
  evidence.set(evidenceKey(choiceOf(map)), { method, stage, target, against, grid, cells: decodeFloat16(cells, frames.length * rows * columns) });
}

/** @param {string} jpeg base64 @returns {HTMLImageElement} */
function picture(jpeg) {
  const image = new Image();
  image.src = `data:image/jpeg;base64,${jpeg}`;
  return image;
}

/** @param {Record<string, any>} payload @returns {Analysis} */
export function decodePayload(payload) {
  if (payload?.format !== FORMAT) throw new Error(`not a payload of the format ${FORMAT}`);
  const withImage = ({ picture: jpeg, ...facts }) => ({ ...facts, image: picture(jpeg) });
  const frames = payload.frames.map(withImage);
  const loads = frames.map(({ image }) => image.decode());
  const evidence = new Map();
  for (const map of payload.evidence) addEvidence({ clip: payload.clip, frames, evidence }, map);
  const [own, paper = own] = payload.evidence;
  return {
    clip: payload.clip,
    model: payload.model,
    predictions: payload.predictions,
    video: payload.video,
    frames,
    thumbnails: payload.thumbnails.map(withImage),
    ...decodeLayers(payload),
    motion: decodeMotion(payload),
    methods: payload.methods,
    stages: payload.stages,
    evidence,
    ownEvidence: choiceOf(own),
    paperEvidence: choiceOf(paper),
    start: payload.start,
    ready: Promise.all(loads).then(() => undefined),
  };
}
