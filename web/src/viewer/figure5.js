/**
 * The paper's Figure 5 for the query: frame t | attention on t+1 | motion | class evidence, as one picture. Python draws
 * the same one (`sifa_core/explain/render/figure5.py`): the same titles, boxes, lines, colours and scales.
 *
 * @typedef {import("./payload.js").Analysis} Analysis
 * @typedef {import("./state.js").State} State
 */
import { BOX_COLOUR, COLOUR_MAPS, fraction, readable } from "./colour_maps.js";
import { drawLinks, drawPoints, drawQuery, drawQueryPlace, pointRadius } from "./drawing.js";
import { heatCanvas } from "./heat.js";
import { evidenceKey, paperChoice } from "./payload.js";
import { strongest } from "./points.js";
import { pointsAt } from "./reading.js";
import { rangeOf } from "./scales.js";
import { projection, WHOLE } from "./view.js";

const GAP = 10;
const TITLE = 26;
/** Height of a colour scale under a panel. */
const SCALE = 30;
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
    y: Math.floor(i / columns) * (TITLE + panelHeight + SCALE + GAP) + TITLE,
  }));
  const height = rows * (TITLE + panelHeight + SCALE) + (rows - 1) * GAP + footer;
  return { panels, panelWidth, panelHeight, height };
}

/** `text` cut to fit into `width`. @param {CanvasRenderingContext2D} context */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = Array.from(text);
  while (letters.length && context.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return `${letters.join("")}…`;
}

/**
 * What the third and fourth panel show: values, scale and words, as in `render/figure5.py`.
 * @param {Analysis} analysis @param {State} state
 */
export function figureMaps(analysis, state) {
  const layer = analysis.layer.get(state.layer);
  const following = Math.min(state.t + 1, analysis.frames.length - 1);
  const { grid, cells, boxes } = state.paper ? { ...layer, cells: layer.saliency } : analysis.motion;
  const pair = Math.min(state.t, boxes.length - 1);
  const size = grid.rows * grid.columns;
  const wanted = state.paper ? paperChoice(analysis, state.evidence) : state.evidence;
  const choice = analysis.evidence.has(evidenceKey(wanted)) ? wanted : analysis.paperEvidence;
  const evidence = analysis.evidence.get(evidenceKey(choice));
  const method = analysis.methods.find(({ name }) => name === choice.method).title;
  const against = evidence.against ? `, not ${evidence.against.label}` : "";
  const label = analysis.predictions ? evidence.target.label + against : "untrained, random";
  return {
    moving: {
      title: state.paper ? `Motion saliency (Eq. 5), ${layer.name}` : "Motion",
      colours: state.paper ? COLOUR_MAPS.saliency : COLOUR_MAPS.motion,
      box: boxes[pair],
      grid,
      cells,
      start: pair * size,
      range: rangeOf(cells, pair * size, (pair + 1) * size),
      scale: "0 to 1 over the frame",
    },
    evidence: {
      title: `${method}: ${label}`,
      shortTitle: label,
      colours: COLOUR_MAPS.evidence,
      box: null,
      grid: evidence.grid,
      cells: evidence.cells,
      start: following * evidence.grid.rows * evidence.grid.columns,
      range: [0, 1],
      scale: "0 to 1 over the clip",
    },
  };
}

/** A heat map lets the picture through where there is little, as in the printed figure. */
const alphaOf = (value) => 0.25 + 0.5 * value;
/** How dark the picture is under the sampling points, so that their colours can be read. */
const SHADE = 0.35;

/**
 * @param {CanvasRenderingContext2D} context in units of the layout @param {Analysis} analysis @param {State} state
 * @param {ReturnType<typeof figureLayout>} layout @param {{ink: string, quiet: string}} palette
 */
export function drawFigure(context, analysis, state, layout, palette) {
  const { panels, panelWidth, panelHeight } = layout;
  const size = { width: panelWidth, height: panelHeight };
  const following = Math.min(state.t + 1, analysis.frames.length - 1);
  const found = pointsAt(analysis, { ...state, scope: "point" }, state);
  const { moving, evidence } = figureMaps(analysis, state);
  /** @type {[title: string, detail: string, short?: string][]} */
  const titles = [
    [`Frame ${state.t}`, `${analysis.frames[state.t].time.toFixed(2)} s`],
    [`Attention on frame ${following}`, found ? `${state.layer}, ${found.points.weights.length} points` : "none"],
    [moving.title, ""],
    [evidence.title, "", evidence.shortTitle],
  ];
  titles.forEach((title, i) => writeTitle(context, panels[i], panelWidth, title, palette));

  const now = analysis.frames[state.t].image;
  const next = analysis.frames[following].image;
  [now, next, next, next].forEach((image, i) => {
    context.drawImage(image, panels[i].x, panels[i].y, panelWidth, panelHeight);
  });
  context.fillStyle = `rgb(0 0 0 / ${SHADE})`;
  context.fillRect(panels[1].x, panels[1].y, panelWidth, panelHeight);
  const at = projection(WHOLE, analysis.clip, size);
  [moving, evidence].forEach((map, i) => drawHeat(context, map, panels[i + 2], size, at));
  drawScale(context, moving.colours, ["0", "1"], moving.scale, panels[2], size, palette);
  drawScale(context, evidence.colours, ["0", "1"], evidence.scale, panels[3], size, palette);
  if (found) {
    const ends = found.range.map(readable);
    const words = panelWidth < 240 ? "weight" : "attention weight";
    drawScale(context, COLOUR_MAPS.weights, ends, words, panels[1], size, palette);
    drawAttention(context, found, state, panels, size, at);
  }
  drawQuery(context, panels[0].x + at.screenX(state.x), panels[0].y + at.screenY(state.y), unitOf(panelWidth));
}

/** Marks are smaller on small panels. */
const unitOf = (panelWidth) => Math.min(1, Math.max(0.55, panelWidth / 380));

/**
 * Title and detail above a panel; where there is no room for all of the title, the short one if there is one.
 * @param {CanvasRenderingContext2D} context @param {{x: number, y: number}} panel @param {number} panelWidth
 * @param {[title: string, detail: string, short?: string]} words @param {{ink: string, quiet: string}} palette
 */
function writeTitle(context, { x, y }, panelWidth, [title, detail, short = title], palette) {
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.font = `600 13px ${FONT}`;
  context.fillStyle = palette.ink;
  const shown = fitted(context, context.measureText(title).width <= panelWidth ? title : short, panelWidth);
  context.fillText(shown, x, y - 9);
  const used = context.measureText(shown).width + 8;
  context.font = `400 12px ${FONT}`;
  context.fillStyle = palette.quiet;
  if (panelWidth - used > 30) context.fillText(fitted(context, detail, panelWidth - used), x + used, y - 9);
}

/** The picture that is there becomes grey, and a map with its box lies over it. */
function drawHeat(context, { cells, start, grid, range, colours, box }, panel, { width, height }, at) {
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#808080";
  context.fillRect(panel.x, panel.y, width, height);
  context.globalCompositeOperation = "source-over";
  context.drawImage(heatCanvas(cells, start, grid, range, colours, alphaOf), panel.x, panel.y, width, height);
  if (!box) return;
  const [left, top, wide, high] = box;
  const corner = { x: at.screenX(left), y: at.screenY(top) };
  context.strokeStyle = BOX_COLOUR;
  context.lineWidth = 2;
  context.strokeRect(panel.x + corner.x, panel.y + corner.y, at.screenX(left + wide) - corner.x, at.screenY(top + high) - corner.y);
}

/** The colours of a panel, below it: what they stand for, between their ends. */
function drawScale(context, colours, values, words, panel, size, palette) {
  const [low, high] = values;
  const top = panel.y + size.height + 8;
  const ramp = context.createLinearGradient(panel.x, 0, panel.x + size.width, 0);
  colours.css.forEach((colour, i) => ramp.addColorStop(i / 255, colour));
  context.fillStyle = ramp;
  context.fillRect(panel.x, top, size.width, 6);
  context.font = `400 11px ${FONT}`;
  context.fillStyle = palette.quiet;
  context.textAlign = "left";
  context.fillText(low, panel.x, top + 18);
  const ends = 12 + Math.max(context.measureText(low).width, context.measureText(high).width);
  context.textAlign = "right";
  context.fillText(high, panel.x + size.width, top + 18);
  context.textAlign = "center";
  context.fillText(fitted(context, words, size.width - 2 * ends), panel.x + size.width / 2, top + 18);
  context.textAlign = "left";
}

/** Lines from the query to the strongest points, and all points, on the second panel. */
function drawAttention(context, { points, range }, state, panels, size, at) {
  const unit = unitOf(size.width);
  const ends = strongest(points.weights, 3)
    .filter((i) => points.inFrame[i])
    .map((i) => ({
      x: panels[1].x + at.screenX(points.x[i]),
      y: panels[1].y + at.screenY(points.y[i]),
      radius: pointRadius(fraction(points.weights[i], range), unit),
    }));
  const from = { x: panels[0].x + at.screenX(state.x), y: panels[0].y + at.screenY(state.y) };
  drawLinks(context, from, ends, 0.95, unit);
  context.save();
  context.beginPath();
  context.rect(panels[1].x, panels[1].y, size.width, size.height);
  context.clip();
  context.translate(panels[1].x, panels[1].y);
  drawPoints(context, points, at, range, { ...size, alpha: 1, unit });
  drawQueryPlace(context, at.screenX(state.x), at.screenY(state.y), unit);
  context.restore();
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
