/**
 * The payload decoded once: typed arrays per layer, pictures as images.
 *
 * @typedef {import("./geometry.js").Grid} Grid
 * @typedef {object} Layer one SIFA layer; A attended frames, K taps
 * @property {string} name @property {string} stage @property {number} kernelSize @property {number} attended
 * @property {number} maxLevels @property {Grid} grid
 * @property {Float32Array | null} offset [A, K, 2, rows, columns], (x, y) in cells; null until it is fetched
 * @property {Float32Array | null} weights [A, K, rows, columns]; the same
 * @property {Float32Array | null} saliency [A, rows, columns]; the same
 * @property {Layer | null} earlier the SIFA layer before it in the same stage
 * @property {Record<string, any>} statistics lists over the attended frames
 *
 * @typedef {{grid: Grid, cells: Float32Array}} EvidenceMap Grad-CAM of a stage, [T, rows, columns]
 * @typedef {{t: number, index: number, image: HTMLImageElement}} Thumbnail
 *
 * @typedef {object} Analysis
 * @property {Record<string, any>} clip @property {Record<string, any>} model
 * @property {{label: string, probability: number}[] | null} predictions of the clip
 * @property {{label: string, probability: number}[] | null} video predictions of the whole video, if they are known
 * @property {{index: number, time: number, image: HTMLImageElement}[]} frames
 * @property {Thumbnail[]} thumbnails
 * @property {Layer[]} layers @property {Map<string, Layer>} layer by name
 * @property {{target: {index: number, label: string}, stages: Map<string, EvidenceMap>}} gradCam
 * @property {{layer: string, levels: number, query: number[]}} start
 * @property {Promise<void>} ready when every picture can be drawn
 */
import { decodeFloat16 } from "./float16.js";

export const FORMAT = "sifa-viewer/1";

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

/** @param {Record<string, any>} payload @returns {Analysis["gradCam"]} */
export function decodeGradCam(payload) {
  const { width, height } = payload.clip;
  const stages = new Map();
  for (const [stage, { rows, columns, cells }] of Object.entries(payload.grad_cam.stages)) {
    const grid = { rows, columns, width, height };
    stages.set(stage, { grid, cells: decodeFloat16(cells, payload.frames.length * rows * columns) });
  }
  return { target: payload.grad_cam.target, stages };
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
  return {
    clip: payload.clip,
    model: payload.model,
    predictions: payload.predictions,
    video: payload.video,
    frames,
    thumbnails: payload.thumbnails.map(withImage),
    ...decodeLayers(payload),
    gradCam: decodeGradCam(payload),
    start: payload.start,
    ready: Promise.all(loads).then(() => undefined),
  };
}
