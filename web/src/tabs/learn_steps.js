/** What each of the seven steps shows: `STEPS[number](lesson)` gives {pictures, numbers, says}. */
import { QUERY_COLOUR } from "../viewer/colour_maps.js";
import { channelTable, make, matrix, named, say } from "./learn_numbers.js";
import {
  drawCell,
  drawCorners,
  drawGrid,
  drawMap,
  drawMoves,
  drawNeighbourhood,
  drawPoints,
  drawQuery,
  largest,
  pane,
  sigmoidCurve,
  windowAround,
} from "./learn_pictures.js";

/** A picture with its caption under it. */
export function figure(content, caption) {
  const framed = make("figure", "", content, make("figcaption", "", caption));
  const { width, height } = content.viewBox.baseVal;
  framed.style.setProperty("--ratio", width / height);
  return framed;
}

export function scaleWords(lesson) {
  if (lesson.scale === "none") return "";
  const mean = `This network divides by the number of channels, ${lesson.channels}, so that the numbers keep their size.`;
  return lesson.scale === "mean" ? mean : `${mean} It then takes the softmax over the places.`;
}

/** An offset in words, cells. */
export function moveWords(dx, dy) {
  return `${say(Math.abs(dx))} cells to the ${dx < 0 ? "left" : "right"} and ${say(Math.abs(dy))} ${dy < 0 ? "up" : "down"}`;
}

export function taps(lesson) {
  return lesson.side * lesson.side;
}

export function framePane(lesson, which, cells, label, draw, dim = false) {
  const words = `Frame ${lesson.frames[which]}${label}`;
  return figure(pane(lesson, which, windowAround(lesson, cells), words, draw, dim), words);
}

export function nearby(lesson) {
  return lesson.regular.points;
}

export function reached(lesson) {
  return [...lesson.regular.points, ...lesson.deformed.points];
}

export function whole(lesson) {
  return { x: 0, y: 0, width: lesson.clip.width, height: lesson.clip.height };
}

export function mapPicture(lesson, name, caption) {
  const draw = (root, unit) => drawMap(root, lesson, lesson.maps[name], unit);
  return figure(pane(lesson, 1, whole(lesson), caption, draw), caption);
}

export function sumLine(lesson, attention, tap) {
  const scaled = lesson.scale === "none" ? "" : ` ÷ ${lesson.channels} = ${say(attention.products[tap] / lesson.channels)}`;
  return `All ${lesson.channels} products add up to ${say(attention.products[tap])}${scaled}`;
}

/** What happens to the aggregate before it is added, by variant of the block or else by its gate. */
export const GATES = {
  channel: "Before it is added, this network scales what was gathered by a learned gain for each channel (third row).",
  layernorm: "Before it is added, this network normalises what was gathered and scales it by a learned gain (third row).",
  sifa_c: "This network is the paper's SIFA_C: it adds features made of the weights alone (third row).",
  sifa_star: "This network is the paper's SIFA*: it gathers from the frame before as well, which is not counted here.",
};

export const STEPS = {
  1(lesson) {
    const { compare } = lesson.features;
    const { weights } = lesson.regular;
    const top = largest(weights, 1)[0];
    return {
      pictures: [
        framePane(lesson, 0, nearby(lesson), ": the query", (root, unit) => {
          drawGrid(root, lesson, unit);
          drawCell(root, lesson, lesson.cell, { fill: QUERY_COLOUR, "fill-opacity": 0.35, stroke: "#fff", "stroke-width": 0.4 * unit });
          drawQuery(root, lesson, unit);
        }),
        framePane(lesson, 1, nearby(lesson), ": its neighbours, by how alike they are", (root, unit) =>
          drawNeighbourhood(root, lesson, unit),
        ),
      ],
      numbers: [
        matrix(lesson, weights, `The ${taps(lesson)} weights, where they lie`),
        channelTable("The channels that add most to the largest of them", compare.numbers, [
          { name: named("query"), values: compare.query },
          { name: named("key", top + 1), values: compare.key },
          { name: named("product"), values: compare.query.map((value, i) => value * compare.key[i]), isResult: true },
        ]),
      ],
      says: `${sumLine(lesson, lesson.regular, top)}, for place ${top + 1} of ${taps(lesson)}. ${scaleWords(lesson)}`,
    };
  },

  2(lesson) {
    const { gather } = lesson.features;
    const { weights } = lesson.regular;
    const rows = largest(weights, weights.length)
      .slice(0, 9)
      .map((i) => ({ name: named("key", i + 1), lead: weights[i], values: gather.keys[i] }));
    const left = weights.length > rows.length ? ` The ${rows.length} with the largest weights are shown.` : "";
    return {
      pictures: [
        framePane(lesson, 1, nearby(lesson), ": what is gathered, by weight", (root, unit) =>
          drawNeighbourhood(root, lesson, unit),
        ),
      ],
      numbers: [
        channelTable(
          "Each neighbour's features, times its weight, added up",
          gather.numbers,
          [...rows, { name: named("aggregate"), values: gather.aggregate, isResult: true }],
          "weight",
        ),
      ],
      says: `The last row is the sum of the rows above it, each times its weight.${left}`,
    };
  },

  3(lesson) {
    const { add } = lesson.features;
    return {
      pictures: [
        framePane(lesson, 0, nearby(lesson), ": the query is strengthened", (root, unit) => {
          drawGrid(root, lesson, unit);
          drawQuery(root, lesson, unit);
        }),
      ],
      numbers: [
        channelTable("The channels that gather most", add.numbers, [
          { name: named("query"), values: add.query },
          { name: named("aggregate"), values: add.aggregate },
          { name: named("output"), values: add.output, isResult: true },
        ]),
      ],
      says: "This would be the output if the neighbourhood stayed a square. Equations 4 to 6 let it move.",
    };
  },

  4(lesson) {
    const { change } = lesson.features;
    return {
      pictures: [
        framePane(lesson, 0, nearby(lesson), "", (root, unit) => drawQuery(root, lesson, unit)),
        framePane(lesson, 1, nearby(lesson), "", (root, unit) => drawQuery(root, lesson, unit)),
        mapPicture(lesson, "difference", "Mean size of the difference, cell by cell; bright: much has changed"),
      ],
      numbers: [
        channelTable("The channels that changed most at the query", change.numbers, [
          { name: named("following"), values: change.following },
          { name: named("here"), values: change.query },
          { name: named("difference"), values: change.difference, isResult: true },
        ]),
      ],
      says:
        lesson.frames[0] === lesson.frames[1]
          ? "This is the last frame, which attends to itself: every difference is zero. Take an earlier frame to see one."
          : "",
    };
  },

  5(lesson) {
    const { saliency } = lesson.features;
    const { offsetSource } = lesson;
    return {
      pictures: [
        figure(sigmoidCurve(saliency.difference), "From differences to factors between 0 and 1"),
        mapPicture(lesson, "saliency", "The motion saliency map; bright: salient"),
      ],
      numbers: [
        channelTable("The same channels", saliency.numbers, [
          { name: named("difference"), values: saliency.difference },
          { name: named("gate"), values: saliency.gate, isFraction: true },
          { name: named("following"), values: saliency.following },
          { name: named("saliency"), values: saliency.saliency, isResult: true },
        ]),
      ],
      says: offsetSource || "Half of every feature stays in it where nothing moves, so it is mostly appearance.",
    };
  },

  6(lesson) {
    const { blend } = lesson.features;
    const top = largest(lesson.deformed.weights, 1)[0];
    const [dx, dy] = lesson.offset[top];
    const isStill = lesson.offset.every(([x, y]) => x === 0 && y === 0);
    const corners = ["upper left", "upper right", "lower left", "lower right"];
    return {
      pictures: [
        framePane(lesson, 1, reached(lesson), ": from the regular grid to the places moved", (root, unit) => {
          drawGrid(root, lesson, unit);
          drawMoves(root, lesson, unit);
        }, true),
        framePane(lesson, 1, lesson.corners[top], `: place ${top + 1} between its four cells, with their weights`, (root, unit) =>
          drawCorners(root, lesson, top, unit),
        ),
      ],
      numbers: [
        channelTable(
          `Place ${top + 1}, blended from its four cells`,
          blend.numbers,
          [
            ...corners.map((name, i) => ({
              name: { math: name, words: `${name} cell` },
              lead: lesson.cornerWeights[top][i],
              values: blend.corners[i],
            })),
            { name: named("moved", top + 1), values: blend.key, isResult: true },
          ],
          "weight",
        ),
      ],
      says: isStill
        ? "Every offset is zero here, so the places stay on the square."
        : `Place ${top + 1} has the largest weight. Its offset moved it by ${moveWords(dx, dy)}, to column ` +
          `${say(lesson.deformed.points[top][0])}, row ${say(lesson.deformed.points[top][1])} of the layer's map.`,
    };
  },

  7(lesson) {
    const { output } = lesson.features;
    const top = largest(lesson.deformed.weights, 1)[0];
    const gate = lesson.gated ? ` ${GATES[lesson.temporal] ?? GATES[lesson.gate] ?? ""}` : "";
    const rows = [
      { name: named("query"), values: output.query },
      { name: named("aggregate"), values: output.aggregate },
    ];
    if (lesson.gated) rows.push({ name: named("gated"), values: output.gated });
    rows.push({ name: named("output"), values: output.output, isResult: true });
    return {
      pictures: [
        framePane(lesson, 1, reached(lesson), ": the places moved, by weight; lines to the strongest three", (root, unit) => {
          drawPoints(root, lesson, lesson.deformed, unit);
        }, true),
      ],
      numbers: [
        make(
          "div",
          "pair",
          matrix(lesson, lesson.regular.weights, "Weights on the square (Eq. 1)"),
          matrix(lesson, lesson.deformed.weights, "Weights at the places moved (Eq. 7)"),
        ),
        channelTable("The channels to which most is added", output.numbers, rows),
      ],
      says: `${sumLine(lesson, lesson.deformed, top)}, for place ${top + 1}.${gate}`,
    };
  },
};
