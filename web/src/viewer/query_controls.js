/**
 * The group that says where the query is, takes it as numbers, and lists the points that count most.
 */
import { colourOf, COLOUR_MAPS, readable, fraction } from "./colour_maps.js";
import { element, group } from "./elements.js";
import { strongest } from "./points.js";
import { description, movement, movementSigns } from "./reading.js";

const LISTED = 3;
/** A screen reader is told where the query came to rest, not every step on the way; milliseconds. */
const PAUSE = 350;

/** @param {import("./payload.js").Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store */
export function createQueryControls(analysis, store, actions) {
  const { width, height } = analysis.clip;
  const most = { t: analysis.frames.length - 1, x: width - 1, y: height - 1 };
  const words = { t: "Frame", x: "x", y: "y" };
  const titles = { t: "Feature frame", x: "Pixels from the left", y: "Pixels from the top" };

  function apply() {
    const [t, x, y] = ["t", "x", "y"].map((name) => fields[name].valueAsNumber);
    const ask = (value, otherwise) => (Number.isFinite(value) ? value : otherwise);
    const state = store.get();
    actions.moveTo(ask(x, state.x), ask(y, state.y), ask(t, state.t));
  }
  const fields = Object.fromEntries(
    Object.keys(most).map((name) => [
      name,
      element("input", {
        type: "number",
        class: `field-${name}`,
        min: "0",
        max: String(most[name]),
        step: name === "t" ? "1" : "any",
        title: titles[name],
        on: { change: apply },
      }),
    ]),
  );
  const labels = Object.entries(fields).map(([name, field]) =>
    element("label", {}, [element("span", { text: words[name] }), field]),
  );

  const rows = Array.from({ length: LISTED }, () => {
    const bar = element("i");
    const cells = { swatch: element("i", { class: "swatch" }), place: element("td"), weight: element("td"), moved: element("td") };
    const meter = element("td", { class: "meter", "aria-hidden": "true" }, [bar]);
    const row = element("tr", {}, [element("td", {}, [cells.swatch]), cells.place, cells.weight, meter, cells.moved]);
    return { ...cells, bar, row };
  });
  const head = element("tr", {}, [
    element("th", { "aria-hidden": "true" }),
    element("th", { scope: "col", text: "at x, y" }),
    element("th", { scope: "col", text: "weight", title: "How much the point counts" }),
    element("th", { "aria-hidden": "true" }),
    element("th", { scope: "col", text: "moved, px", title: "How far this point was moved by the network" }),
  ]);
  const table = element("table", { class: "strongest" }, [
    element("caption", { class: "unseen", text: "Points that count most" }),
    element("thead", {}, [head]),
    element("tbody", {}, rows.map(({ row }) => row)),
  ]);
  const summary = element("p", { class: "note summary" });
  const spoken = element("p", { class: "unseen spoken", "aria-live": "polite" });
  const content = [element("div", { class: "fields" }, labels), table, summary, spoken];

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return {
    element: group("Query", content, "query-group"),
    /** @param {import("./state.js").State} state */
    update(state) {
      clearTimeout(timer);
      timer = setTimeout(() => (spoken.textContent = description(analysis, state)), PAUSE);
    },
    /**
     * @param {import("./state.js").State} state @param {{x: number, y: number}} place
     * @param {{points: import("./points.js").SamplingPoints, range: number[]} | null} shown
     */
    updatePoints(state, place, shown) {
      const values = { t: state.t, x: place.x, y: place.y };
      for (const [name, field] of Object.entries(fields)) {
        if (document.activeElement !== field) field.value = String(Math.round(10 * values[name]) / 10);
      }
      table.hidden = !shown;
      if (!shown) {
        summary.textContent = "This model does not let the last frame attend to anything.";
        return;
      }
      const { points, range } = shown;
      const best = strongest(points.weights, LISTED);
      rows.forEach(({ row, swatch, place: at, weight, bar, moved }, i) => {
        const point = best[i];
        row.hidden = point === undefined;
        if (row.hidden) return;
        const value = fraction(points.weights[point], range);
        swatch.style.background = colourOf(COLOUR_MAPS.weights, value);
        at.textContent = `${Math.round(points.x[point])}, ${Math.round(points.y[point])}`;
        weight.textContent = readable(points.weights[point]);
        bar.style.width = `${Math.max(2, 100 * value)}%`;
        const way = [points.x[point] - points.baseX[point], points.y[point] - points.baseY[point]];
        moved.textContent = movementSigns(...way);
        moved.title = `${movement(...way)} by the network`;
      });
      const outside = points.inFrame.reduce((count, isInside) => count + (isInside ? 0 : 1), 0);
      summary.textContent = outside
        ? `${outside} of ${points.weights.length} points fall outside the picture, where the network reads zeros.`
        : `All ${points.weights.length} points lie within the picture.`;
    },
    destroy: () => clearTimeout(timer),
  };
}
