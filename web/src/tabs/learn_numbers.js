/** Numbers of the Learn tab: how they are written, the k x k matrix, and tables of channels. */
import { COLOUR_MAPS } from "../viewer/colour_maps.js";
import { FORMULAS } from "./formulas.js";
import { colourAt, fractions } from "./learn_pictures.js";
import { SYMBOLS } from "./lessons.js";

/** An HTML element with a class and children; text stays text. */
export function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Three significant digits, a true minus sign, and powers of ten where they are needed. */
export function say(value) {
  const size = Math.abs(value);
  const minus = value < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size >= 1e-3 && size < 1e4) {
    const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
    return minus + size.toFixed(Math.min(digits, 4));
  }
  const [digits, power] = size.toExponential(1).split("e");
  const raised = [...String(Math.abs(Number(power)))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `${minus}${digits}·10${Number(power) < 0 ? "⁻" : ""}${raised}`;
}

/** The values of all k x k taps as a little matrix, coloured like the points. */
export function matrix(lesson, values, caption) {
  const table = make("table", "taps", make("caption", "", caption));
  const scaled = fractions(values);
  for (let row = 0; row < lesson.side; row += 1) {
    const line = make("tr");
    for (let column = 0; column < lesson.side; column += 1) {
      const i = row * lesson.side + column;
      const cell = make("td", "", say(values[i]));
      const colour = colourAt(COLOUR_MAPS.weights, scaled[i]);
      cell.style.background = colour.css;
      cell.style.color = colour.isBright ? "#000000" : "#ffffff";
      line.append(cell);
    }
    table.append(line);
  }
  return table;
}

/**
 * A table with a column for each channel. A row is {name: see `named`, values, lead: a number before them,
 * isResult}; cells are tinted by sign and size, all rows on one scale.
 */
export function channelTable(caption, numbers, rows, lead = "") {
  const table = make("table", "channels", make("caption", "", caption));
  const head = make("tr", "", make("th", "", "channel"));
  if (lead) head.append(make("th", "", lead));
  head.append(...numbers.map((number) => make("th", "", String(number))));
  table.append(make("thead", "", head));
  const body = make("tbody");
  const most = Math.max(1e-30, ...rows.filter((row) => !row.isFraction).flatMap((row) => row.values.map(Math.abs)));
  for (const row of rows) {
    const line = make("tr", row.isResult ? "sum" : "");
    const name = make("th");
    name.scope = "row";
    name.innerHTML = row.name.math; // ours
    name.setAttribute("aria-label", row.name.words);
    line.append(name);
    if (lead) line.append(make("td", "lead", row.lead === undefined ? "" : say(row.lead)));
    for (const value of row.values) {
      const cell = make("td", value < 0 ? "below" : "above", say(value));
      cell.style.setProperty("--fraction", row.isFraction ? 0 : Math.abs(value) / most);
      line.append(cell);
    }
    body.append(line);
  }
  table.append(body);
  const scroller = make("div", "scroller", table);
  scroller.tabIndex = 0;
  scroller.setAttribute("role", "group");
  scroller.setAttribute("aria-label", caption);
  return scroller;
}

/** A symbol of SYMBOLS as MathML, and in words for those who hear it; of tap number `tap`, where it is about one. */
export function named(name, tap = "") {
  const [latex, words] = SYMBOLS[name];
  return { math: FORMULAS[latex].replace("<mi>n</mi>", `<mn>${tap}</mn>`), words: words.replace(/\bn\b/, tap) };
}
