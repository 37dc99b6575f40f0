/**
 * Pictures of the Learn tab, drawn as SVG from the lesson's numbers. Lengths within a picture are pixels of the clip.
 *
 * A lesson is what app/tabs/learn.py sends. Cells and offsets are (column, row), in cells of the layer's map.
 */
import { COLOUR_MAPS, LINK_COLOUR, QUERY_COLOUR } from "../viewer/colour_maps.js";
export const SVG = "http://www.w3.org/2000/svg";
/* The colours are the viewer's: COLOUR_MAPS, QUERY_COLOUR, LINK_COLOUR; see script() in learn.py. */

/** An SVG element with attributes and children. */
export function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** The colour of a fraction 0..1 on a map of the viewer, and whether black can be read on it better than white. */
export function colourAt(map, fraction) {
  const place = Math.round(255 * Math.min(Math.max(fraction, 0), 1));
  const [red, green, blue] = Array.from(map.bytes.subarray(3 * place, 3 * place + 3), (part) => (part / 255) ** 2.2);
  // Where black and white stand out alike; each is then at least 4.5 : 1 on its side.
  return { css: map.css[place], isBright: 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 };
}

/** Values as fractions 0..1 of the way between the smallest and the largest. */
export function fractions(values) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  return values.map((value) => (span > 0 ? (value - low) / span : 1));
}

/** Numbers of the largest values, largest first. */
export function largest(values, count) {
  return values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
}

/** How the layer's cells lie over the picture. */
export function geometry({ clip, grid }) {
  const stride = [clip.width / grid[0], clip.height / grid[1]];
  return { stride, toPixel: ([column, row]) => [(column + 0.5) * stride[0] - 0.5, (row + 0.5) * stride[1] - 0.5] };
}

/** The part of the picture to show: all the places given with a cell around them, 4:3 unless that is too high or wide. */
export function windowAround(lesson, cells) {
  const { stride, toPixel } = geometry(lesson);
  const { width, height } = lesson.clip;
  const places = cells.map(toPixel);
  const reach = (axis, limit) => {
    const inside = places.map((place) => Math.min(Math.max(place[axis], 0), limit));
    return [Math.min(...inside) - 1.5 * stride[axis], Math.max(...inside) + 1.5 * stride[axis]];
  };
  const [left, right] = reach(0, width);
  const [top, bottom] = reach(1, height);
  const wanted = Math.max(right - left, (bottom - top) * (4 / 3));
  const size = [Math.min(wanted, width), Math.min(wanted * 0.75, height)];
  const fit = (middle, part, limit) => Math.min(Math.max(middle - part / 2, 0), limit - part);
  return {
    x: fit((left + right) / 2, size[0], width),
    y: fit((top + bottom) / 2, size[1], height),
    width: size[0],
    height: size[1],
  };
}

/** A frame of the clip, cropped, with a drawing over it. `unit` is what a hundredth of the crop's width measures. */
export function pane(lesson, which, crop, label, draw, dim = false) {
  const unit = crop.width / 100;
  const { clip } = lesson;
  const view = `${crop.x - 0.5} ${crop.y - 0.5} ${crop.width} ${crop.height}`;
  const root = shape("svg", { viewBox: view, role: "img", "aria-label": label, class: "frame" });
  const href = `data:image/jpeg;base64,${lesson.pictures[which]}`;
  root.append(
    shape("image", { href, x: -0.5, y: -0.5, width: clip.width, height: clip.height, preserveAspectRatio: "none" }),
  );
  if (dim) root.append(shape("rect", { x: -0.5, y: -0.5, width: clip.width, height: clip.height, fill: "#0008" }));
  draw(root, unit);
  return root;
}

/** Lines between the cells of the layer. */
export function drawGrid(root, lesson, unit) {
  const { stride } = geometry(lesson);
  const { clip, grid } = lesson;
  let path = "";
  for (let i = 1; i < grid[0]; i += 1) path += `M${i * stride[0] - 0.5} -0.5V${clip.height - 0.5}`;
  for (let j = 1; j < grid[1]; j += 1) path += `M-0.5 ${j * stride[1] - 0.5}H${clip.width - 0.5}`;
  root.append(shape("path", { d: path, stroke: "#fff", "stroke-opacity": 0.28, "stroke-width": 0.25 * unit, fill: "none" }));
}

export function drawCell(root, lesson, cell, attributes) {
  const { stride, toPixel } = geometry(lesson);
  const [x, y] = toPixel(cell);
  const box = { x: x - stride[0] / 2, y: y - stride[1] / 2, width: stride[0], height: stride[1] };
  root.append(shape("rect", { ...box, ...attributes }));
}

/** @param {SVGElement} root @param {number[]} place @param {number} radius @param {string} fill @param {number} unit */
export function drawDot(root, place, radius, fill, unit) {
  const [x, y] = place;
  root.append(shape("circle", { cx: x, cy: y, r: radius * unit, fill, stroke: "#fff", "stroke-width": 0.35 * unit }));
}

export function drawQuery(root, lesson, unit) {
  drawDot(root, geometry(lesson).toPixel(lesson.cell), 2, QUERY_COLOUR, unit);
}

/** The k x k cells around the query, coloured by weight. */
export function drawNeighbourhood(root, lesson, unit) {
  drawGrid(root, lesson, unit);
  const scaled = fractions(lesson.regular.weights);
  lesson.regular.points.forEach((cell, i) => {
    const fill = colourAt(COLOUR_MAPS.weights, scaled[i]).css;
    drawCell(root, lesson, cell, { fill, "fill-opacity": 0.62, stroke: "#fff", "stroke-width": 0.35 * unit });
  });
  drawQuery(root, lesson, unit);
}

/** Points of an attention, coloured and sized by weight, with lines from the query to the strongest three. */
export function drawPoints(root, lesson, attention, unit) {
  const { toPixel } = geometry(lesson);
  const query = toPixel(lesson.cell);
  for (const i of largest(attention.weights, 3)) {
    const [x2, y2] = toPixel(attention.points[i]);
    root.append(shape("line", { x1: query[0], y1: query[1], x2, y2, stroke: LINK_COLOUR, "stroke-width": 0.7 * unit }));
  }
  const scaled = fractions(attention.weights);
  for (const i of largest(attention.weights, attention.weights.length).reverse()) {
    drawDot(root, toPixel(attention.points[i]), 1.2 + 1.3 * scaled[i], colourAt(COLOUR_MAPS.weights, scaled[i]).css, unit);
  }
  drawQuery(root, lesson, unit);
}

/** From each place of the regular grid to where its offset put it. */
export function drawMoves(root, lesson, unit) {
  const { toPixel } = geometry(lesson);
  lesson.regular.points.forEach((base, i) => {
    const [x1, y1] = toPixel(base);
    const [x2, y2] = toPixel(lesson.deformed.points[i]);
    root.append(shape("line", { x1, y1, x2, y2, stroke: "#fff", "stroke-width": 0.5 * unit }));
    root.append(
      shape("circle", { cx: x1, cy: y1, r: 0.9 * unit, fill: "none", stroke: "#fff", "stroke-width": 0.4 * unit }),
    );
    drawDot(root, [x2, y2], 1.4, "#f59e0b", unit);
  });
  drawQuery(root, lesson, unit);
}

/** One point between its four cells, each labelled with its weight. */
export function drawCorners(root, lesson, tap, unit) {
  const { toPixel, stride } = geometry(lesson);
  drawGrid(root, lesson, unit);
  lesson.corners[tap].forEach((cell, i) => {
    const weight = lesson.cornerWeights[tap][i];
    drawCell(root, lesson, cell, {
      fill: "#7db2ff",
      "fill-opacity": 0.12 + 0.6 * weight,
      stroke: "#fff",
      "stroke-width": 0.4 * unit,
    });
    const [x, y] = toPixel(cell);
    const size = Math.min(7 * unit, stride[1] / 3);
    const outwards = (i < 2 ? -1 : 1) * 0.2 * stride[1];
    const text = shape("text", { x, y: y + outwards + size / 3, "font-size": size, class: "corner" });
    text.textContent = weight.toFixed(2);
    root.append(text);
  });
  drawDot(root, toPixel(lesson.deformed.points[tap]), 2.2, "#f59e0b", unit);
}

/** A map of the layer over the whole of frame t + 1, each cell by its value. */
export function drawMap(root, lesson, values, unit) {
  const scaled = fractions(values.flat());
  values.forEach((row, j) =>
    row.forEach((_, i) => {
      const part = scaled[j * row.length + i];
      drawCell(root, lesson, [i, j], { fill: colourAt(COLOUR_MAPS.saliency, part).css, "fill-opacity": 0.25 + 0.6 * part });
    }),
  );
  drawCell(root, lesson, lesson.cell, { fill: "none", stroke: QUERY_COLOUR, "stroke-width": 0.9 * unit });
}

/** The sigmoid's curve with a dot for each of the differences. */
export function sigmoidCurve(differences) {
  const reach = Math.max(3, ...differences.map(Math.abs)) * 1.1;
  const at = (value) => [10 + (80 * (value + reach)) / (2 * reach), 52 - 44 / (1 + Math.exp(-value))];
  const steps = Array.from({ length: 61 }, (_, i) => at(-reach + (i * 2 * reach) / 60));
  const root = shape("svg", { viewBox: "0 0 100 62", role: "img", class: "curve" });
  root.setAttribute("aria-label", "The sigmoid of the eight largest differences");
  root.append(
    shape("path", { d: "M10 52H92M50 52V6", class: "axis" }),
    shape("path", { d: `M${steps.map((place) => place.join(" ")).join("L")}`, class: "line" }),
  );
  const words = [[51.5, 9.5, "1", "start"], [48.5, 28, "½", "end"], [92, 58.5, "Δf", "end"], [50, 58.5, "0", "middle"]];
  for (const [x, y, word, anchor] of words) {
    const text = shape("text", { x, y, "text-anchor": anchor });
    text.textContent = word;
    root.append(text);
  }
  for (const difference of differences) {
    const [cx, cy] = at(difference);
    root.append(shape("circle", { cx, cy, r: 1.5, class: "dot" }));
  }
  return root;
}
