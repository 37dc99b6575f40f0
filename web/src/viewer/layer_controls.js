/**
 * The group that chooses the layer and the levels, and says in words what the layer's offsets do in this frame.
 */
import { readable } from "./colour_maps.js";
import { element, group } from "./elements.js";
import { segmented } from "./overlay_controls.js";

/** @param {import("./payload.js").Analysis} analysis */
export function createLayerControls(analysis, actions) {
  const options = analysis.layers.map(({ name, grid }) =>
    element("option", { value: name, text: `${name} · ${grid.columns} × ${grid.rows} cells` }),
  );
  const chooser = element(
    "select",
    { "aria-label": "Layer", title: "SIFA layer (L)", on: { change: () => actions.chooseLayer(chooser.value) } },
    options,
  );
  const levels = segmented(
    "Levels of sampling",
    {
      1: ["1 level", "The points of this layer (D)"],
      2: ["2 levels", "Every point expands by the layer before it, as in the paper's Figure 5 (D)"],
    },
    (value) => actions.chooseLevels(Number(value)),
  );
  const count = element("span", { class: "count" });
  const rows = {
    moved: ["Moved by", "Mean distance by which the network moved a point off the regular grid"],
    outside: ["Outside the picture", "Fraction of the points that fall outside, where the network reads zeros"],
    spread: ["Attention spread", "100 %: all points count alike; 0 %: one point takes all"],
  };
  const values = {};
  const list = element(
    "dl",
    { class: "statistics" },
    Object.entries(rows).map(([name, [words, title]]) => {
      values[name] = element("dd");
      return element("div", { title }, [element("dt", { text: words }), values[name]]);
    }),
  );
  const note = element("p", { class: "note", role: "status" });
  const choose = element("div", { class: "choose" }, [chooser, levels.element]);

  return {
    element: group("Layer", [choose, count, list, note], "layer-group"),
    /** @param {import("./state.js").State} state */
    update(state) {
      const layer = analysis.layer.get(state.layer);
      chooser.value = state.layer;
      levels.update(String(state.levels));
      levels.buttons.get("2").disabled = layer.maxLevels < 2;
      const points = layer.kernelSize ** (2 * state.levels);
      const only = layer.maxLevels < 2 ? "; the first SIFA layer of its stage has one level" : "";
      count.textContent = `${points} sampling points${only}`;
      const { statistics } = layer;
      const isAttended = state.t < layer.attended;
      const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
      values.moved.textContent = isAttended
        ? `${readable(statistics.mean_magnitude_pixels[state.t])} px · ${readable(statistics.mean_magnitude[state.t])} cells`
        : "–";
      values.outside.textContent = isAttended ? percent(statistics.out_of_frame[state.t]) : "–";
      values.spread.textContent = isAttended ? percent(statistics.attention_entropy[state.t]) : "–";
      const isStill = Math.max(...statistics.max_magnitude) < 1e-3;
      const still = isStill ? "This layer's offsets are zero: every point sits on the regular grid." : "";
      note.textContent = state.note || [layer.offsetSource, still].filter(Boolean).join(" ");
      note.hidden = !note.textContent;
    },
  };
}
