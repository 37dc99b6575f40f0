/**
 * The paper's Figure 5 for the query: frame t | attention on t+1 | motion saliency | Grad-CAM, as one picture.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 * @typedef {import("./state.js").State} State
 */
import { COLOUR_MAPS, fraction } from "./colour_maps.js";
import { drawLinks, drawPoints, drawQuery, pointRadius } from "./drawing.js";
import { heatCanvas } from "./heat.js";
import { strongest } from "./points.js";
import { evidenceRange, pointsAt } from "./reading.js";
import { mapRange } from "./scales.js";
import { projection, WHOLE } from "./view.js";

const GAP = 10;
const TITLE = 26;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** Ink and paper of a figure that is to be printed. */
export const PRINT = { ink: "#16191d", quiet: "#5b6470", paper: "#ffffff" };

/**
 * @param {number} width of the whole figure @param {number} columns 4, or 2 for two rows
 * @param {{width: number, height: number}} clip @param {number} [footer]
 */
export function figureLayout(width, columns, clip, footer = 0) {
  const panelWidth = (width - GAP * (columns - 1)) / columns;
  const panelHeight = (panelWidth * clip.height) / clip.width;
  const rows = 4 / columns;
  const panels = Array.from({ length: 4 }, (_, i) => ({
    x: (i % columns) * (panelWidth + GAP),
    y: Math.floor(i / columns) * (panelHeight + TITLE + GAP) + TITLE,
  }));
  return { panels, panelWidth, panelHeight, height: rows * (panelHeight + TITLE) + (rows - 1) * GAP + footer };
}

/** `text` cut to fit into `width`. @param {CanvasRenderingContext2D} context */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = Array.from(text);
  while (letters.length && context.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return `${letters.join("")}…`;
}

/**
 * @param {CanvasRenderingContext2D} context in units of the layout @param {Analysis} analysis @param {State} state
 * @param {ReturnType<typeof figureLayout>} layout @param {{ink: string, quiet: string}} palette
 */
export function drawFigure(context, analysis, state, layout, palette) {
  const { panels, panelWidth, panelHeight } = layout;
  const size = { width: panelWidth, height: panelHeight };
  const layer = analysis.layer.get(state.layer);
  const following = Math.min(state.t + 1, analysis.frames.length - 1);
  const found = pointsAt(analysis, state, state);
  const label = analysis.predictions ? analysis.gradCam.target.label : "untrained: random";
  const titles = [
    [`Frame ${state.t}`, `${analysis.frames[state.t].time.toFixed(2)} s`],
    [`Attention on frame ${following}`, found ? `${found.points.weights.length} points` : "none"],
    ["Motion saliency", layer.name],
    ["Grad-CAM", label],
  ];
  titles.forEach(([title, detail], i) => {
    const { x, y } = panels[i];
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.font = `600 13px ${FONT}`;
    context.fillStyle = palette.ink;
    const shown = fitted(context, title, panelWidth);
    context.fillText(shown, x, y - 9);
    const used = context.measureText(shown).width + 8;
    context.font = `400 12px ${FONT}`;
    context.fillStyle = palette.quiet;
    if (panelWidth - used > 30) context.fillText(fitted(context, detail, panelWidth - used), x + used, y - 9);
  });

  const { saliency, evidence } = maps(analysis, state, layer, following);
  const now = analysis.frames[state.t].image;
  const next = analysis.frames[following].image;
  const contents = [
    [[now, 1]],
    [[next, 1]],
    saliency ? [[next, 1], [saliency, 0.88]] : [[next, 0.25]],
    [[next, 1], [evidence, 0.72]],
  ];
  contents.forEach((layers, i) => {
    for (const [image, alpha] of layers) {
      context.globalAlpha = alpha;
      context.drawImage(image, panels[i].x, panels[i].y, panelWidth, panelHeight);
    }
    context.globalAlpha = 1;
  });

  const at = projection(WHOLE, analysis.clip, size);
  const unit = Math.min(1, Math.max(0.55, panelWidth / 380));
  if (found) {
    const ends = strongest(found.points.weights, 3)
      .filter((i) => found.points.inFrame[i])
      .map((i) => ({
        x: panels[1].x + at.screenX(found.points.x[i]),
        y: panels[1].y + at.screenY(found.points.y[i]),
        radius: pointRadius(fraction(found.points.weights[i], found.range), unit),
      }));
    const from = { x: panels[0].x + at.screenX(state.x), y: panels[0].y + at.screenY(state.y) };
    drawLinks(context, from, ends, 0.95, unit);
    context.save();
    context.beginPath();
    context.rect(panels[1].x, panels[1].y, panelWidth, panelHeight);
    context.clip();
    context.translate(panels[1].x, panels[1].y);
    drawPoints(context, found.points, at, found.range, { ...size, alpha: 1, unit });
    context.restore();
  }
  drawQuery(context, panels[0].x + at.screenX(state.x), panels[0].y + at.screenY(state.y), unit);
}

/** Heat maps of the third and fourth panel. */
function maps(analysis, state, layer, following) {
  const { grid, cells } = analysis.gradCam.stages.get(layer.stage);
  const range = evidenceRange(analysis, layer.stage, following, state.scope);
  const evidence = heatCanvas(cells, following * grid.rows * grid.columns, grid, range, COLOUR_MAPS.evidence);
  if (state.t >= layer.attended) return { saliency: null, evidence };
  const count = layer.grid.rows * layer.grid.columns;
  const salient = mapRange(layer.saliency, count, state.t, state.scope);
  const saliency = heatCanvas(layer.saliency, state.t * count, layer.grid, salient, COLOUR_MAPS.saliency, true);
  return { saliency, evidence };
}

/**
 * The figure for print, with a line that says what it shows, as a PNG.
 * @param {Analysis} analysis @param {State} state @returns {Promise<Blob>}
 */
export function figurePicture(analysis, state) {
  const scale = 2;
  const edge = 16;
  const width = 1400;
  const footer = 44;
  const layout = figureLayout(width, 4, analysis.clip, footer);
  const canvas = document.createElement("canvas");
  canvas.width = scale * (width + 2 * edge);
  canvas.height = scale * (layout.height + 2 * edge);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = PRINT.paper;
  context.fillRect(0, 0, width + 2 * edge, layout.height + 2 * edge);
  context.translate(edge, edge);
  drawFigure(context, analysis, state, layout, PRINT);
  const { clip, model } = analysis;
  const place = `query (${state.x.toFixed(1)}, ${state.y.toFixed(1)}) in frame ${state.t}`;
  const status = model.status === "untrained" ? " (untrained)" : "";
  const hash = (text) => text.slice(0, 12);
  context.font = `400 12px ${FONT}`;
  context.fillStyle = PRINT.quiet;
  const facts = `${model.name}${status} · ${state.layer} · ${place} · ${clip.name}`;
  const hashes = `clip ${hash(clip.sha256)}${model.sha256 ? ` · model ${hash(model.sha256)}` : ""} · sha256`;
  context.fillText(fitted(context, facts, width), 0, layout.height - 20);
  context.fillText(hashes, 0, layout.height - 3);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be made"))), "image/png");
  });
}
