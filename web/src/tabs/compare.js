/**
 * The Compare tab: two models, or two layers of one, on the same clip, side by side. Their cursors are linked: the query,
 * the pins, the moment and the overlays of one are those of the other. Models may take different frames of a clip: the
 * same moment is the nearest of their frames. A payload that came before is not sent again.
 */
import { rootOf } from "../host.js";
import { whenOpen } from "../store.js";
import { element as make } from "../viewer/elements.js";
import { mount } from "../viewer/mount.js";

const LINKED = ["t", "x", "y", "pins", "active", "view", "overlays", "opacity", "scope", "paper"];

/**
 * @typedef {object} Side
 * @property {any} select @property {any} place @property {import("../viewer/mount.js").Handle | null} viewer
 * @property {string} key of the model shown @property {{index: number}[]} frames
 */

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function compare(host, { store, viewer }) {
  /** @type {Record<string, any>} payloads of this clip, by model */
  let payloads = {};
  let token = "";
  let isLinking = false;

  /** @type {Side[]} */
  const sides = ["A", "B"].map((letter) => {
    const place = make("div", { class: "sifa-viewer", role: "region", "aria-label": `Viewer ${letter}` });
    const select = make("select", { on: { change: () => ask(chosen()) } });
    return { select, place, viewer: null, key: "", frames: [] };
  });
  const labels = sides.map(({ select }, number) =>
    make("label", {}, [make("span", { class: "letter", text: "AB"[number] }), document.createTextNode("Model "), select]),
  );
  const predictions = make("div", { class: "predictions" });
  const hint = make("p", { class: "hint", text: "Both sides look at the same place: hover, pin, step or play on either. " }, [
    make("span", { class: "keys", text: "Overlays are those of Explore, and have the same keys here." }),
  ]);
  const root = make("div", { class: "compare" }, [
    hint,
    make("div", { class: "sides" }, sides.map(({ place }, number) => make("section", { class: "side" }, [labels[number], place]))),
    make("div", { class: "sheet" }, [make("h2", { text: "Predictions" }), predictions]),
  ]);
  rootOf(host).replaceChildren(root);

  const chosen = () => sides.map(({ select }) => select.value);
  const shown = () => sides.map(({ key }) => key);

  /** Ask for two models, "" for those to begin with; where they cannot be had, the choice goes back to what is shown. */
  function ask(keys) {
    const { token: asked } = store.get();
    root.setAttribute("aria-busy", "true");
    const known = asked === token ? Object.keys(payloads) : [];
    store.ask("compare", "compare", { token: asked, one: keys[0], other: keys[1], known }, {
      busy: "Running the models on the clip",
      shown: (answer) => show(answer, asked),
      failed() {
        root.setAttribute("aria-busy", "false");
        const before = shown();
        sides.forEach(({ select, key }) => (select.value = key));
        if (asked !== token && String(before) !== String(keys)) ask(before);
      },
    });
  }

  whenOpen(store, "compare", (asked) => {
    if (asked !== token) ask(chosen());
  });

  /** Which of the frames `to` shows the moment of frame t of `from`; several may, then `now` stays if it is one of them. */
  function sameMoment(t, from, to, now) {
    const nearest = (frames, { index }) => {
      const distances = frames.map((frame) => Math.abs(frame.index - index));
      return distances.indexOf(Math.min(...distances));
    };
    return now in to && nearest(from, to[now]) === t ? now : nearest(to, from[t]);
  }

  /** Whatever is done in one viewer happens in the other, too. @param {Side} from @param {Side} to */
  function link(from, to) {
    from.viewer.on("change", (state) => {
      if (isLinking || !to.viewer) return;
      const t = sameMoment(state.t, from.frames, to.frames, to.viewer.getState().t);
      isLinking = true;
      to.viewer.setState({ ...Object.fromEntries(LINKED.map((name) => [name, state[name]])), t });
      isLinking = false;
    });
    from.viewer.on("hover", (place) => to.viewer?.setHover(place && { x: place.x, y: place.y }));
  }

  const position = ({ t, x, y, pins, active }) => ({ t, x, y, pins, active });
  const looks = ({ layer, levels, overlays, opacity, scope, paper }) => {
    return { layer, levels, overlays, opacity, scope, paper };
  };

  /** A new clip begins where Explore is; another model looks where the one before it looked. */
  function showSide(number, key, isNewClip) {
    const side = sides[number];
    side.select.value = key;
    if (!isNewClip && side.key === key) return;
    side.key = key;
    const from = isNewClip ? { viewer: viewer(), frames: store.get().frames } : side;
    const before = from.viewer.getState();
    const { frames } = from;
    side.frames = payloads[key].frames;
    if (side.viewer) {
      side.viewer.update(payloads[key]);
    } else {
      side.viewer = mount(side.place, payloads[key], {
        state: looks(before),
        fetchLayer: (layer) => store.engine.layer({ token, model: side.key, layer }),
      });
      side.place.viewer = side.viewer;
      link(side, sides[1 - number]);
    }
    isLinking = true;
    side.viewer.setState({ ...position(before), t: sameMoment(before.t, frames, side.frames) });
    isLinking = false;
  }

  const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);
  const points = (value) =>
    value === null ? "–" : `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(100 * value).toFixed(1)} points`;

  function fractionCell(value) {
    const bar = make("i");
    bar.style.setProperty("--fraction", `${100 * (value ?? 0)}%`);
    return make("td", {}, [make("span", { textContent: percent(value) }), bar]);
  }

  function drawRows(rows) {
    const table = predictions;
    if (rows === null) {
      const words = "A model without training has no predictions to compare.";
      table.replaceChildren(make("p", { textContent: words }));
      return;
    }
    const head = ["Class", "A", "B", "B − A"].map((text) => make("th", { textContent: text, scope: "col" }));
    const body = rows.map(({ label, values, difference }) => {
      const change = make("td", { textContent: points(difference), className: "change" });
      const name = make("th", { scope: "row" }, [make("bdi", { textContent: label, title: label })]);
      return make("tr", {}, [name, ...values.map(fractionCell), change]);
    });
    table.replaceChildren(
      make("table", { className: "table" }, [
        make("thead", {}, [make("tr", {}, head)]),
        make("tbody", {}, body),
      ]),
    );
  }

  function show(answer, asked) {
    const isNewClip = asked !== token;
    if (isNewClip) payloads = {};
    token = asked;
    Object.assign(payloads, answer.payloads);
    for (const { select } of sides) {
      select.replaceChildren(...answer.models.map(({ key, title }) => new Option(title, key)));
    }
    root.classList.add("filled");
    root.setAttribute("aria-busy", "false");
    answer.sides.forEach((key, number) => showSide(number, key, isNewClip));
    drawRows(answer.rows);
  }
}
