/**
 * Two viewers of one clip, each with a model and a layer of its own. Their cursors are linked: the query, the pins, the
 * moment and the overlays of one are those of the other. Models may take different frames of a clip: the same moment is
 * the nearest of their frames.
 *
 * The component's value is {} or {clip: sha256,
 * models: [{key, title}], sides: [key, key], asked: [key, key] or null, payloads: {key: payload}, rows: [{label, values: [number or null, number or null],
 * difference: number or null}] or null}; a payload that was sent before is not sent again. The event "select" asks for
 * the models in the root's `wanted`: a choice that is made while another one is answered stays, until `asked` tells that
 * it has been answered, too. Every text is shown as text.
 */
import { element as make } from "../viewer/elements.js";

/** @param {import("../host.js").Host} host */
export function compare({ element, props, watch, trigger }) {
  const LINKED = ["t", "x", "y", "pins", "active", "view", "overlays", "opacity", "scope", "paper"];
  /** @type {any} */ 
  const root = element.querySelector(".compare");
  /** @type {any} */ 
  const explorer = document.querySelector("#explorer .sifa-viewer");
  /** @type {Record<string, any>} payloads of this clip, by model */
  let payloads = {};
  let clip = "";
  let isLinking = false;

  const sides = ["A", "B"].map((letter, number) => {
    const select = make("select");
    const place = make("div", { className: "sifa-viewer" });
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", `Viewer ${letter}`);
    const label = make("label", {}, [make("span", { className: "letter", textContent: letter }), "Model ", select]);
    root.querySelector(".sides").append(make("section", { className: "side" }, [label, place]));
    select.addEventListener("change", () => {
      root.wanted = sides.map(({ select: { value } }) => value);
      trigger("select", { index: number });
    });
    return { letter, select, place, viewer: null, key: "", frames: [] };
  });

  /** Which of the frames `to` shows the moment of frame t of `from`; several may, then `now` stays if it is one of them. */
  function sameMoment(t, from, to, now) {
    const nearest = (frames, { index }) => {
      const distances = frames.map((frame) => Math.abs(frame.index - index));
      return distances.indexOf(Math.min(...distances));
    };
    return now in to && nearest(from, to[now]) === t ? now : nearest(to, from[t]);
  }

  /** Whatever is done in one viewer happens in the other, too. */
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
    side.select.value = root.wanted?.[number] ?? key;
    if (!isNewClip && side.key === key) return;
    side.key = key;
    const { viewer, frames } = /** @type {any} */ (isNewClip ? explorer : side);
    const before = viewer.getState();
    side.frames = payloads[key].frames;
    if (side.viewer) {
      side.viewer.update(payloads[key]);
    } else {
      side.viewer = explorer.mountViewer(side.place, payloads[key], {
        state: looks(before),
        fetchLayer: (layer) => explorer.fetchLayer(side.key, layer),
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
    const table = root.querySelector(".predictions");
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

  function show() {
    const { value } = props;
    if (!value?.sides) return;
    const isNewClip = value.clip !== clip;
    if (isNewClip) payloads = {};
    clip = value.clip;
    if (String(value.asked) === String(root.wanted)) root.wanted = null;
    Object.assign(payloads, value.payloads);
    for (const { select } of sides) {
      select.replaceChildren(...value.models.map(({ key, title }) => new Option(title, key)));
    }
    root.dataset.shown = `${clip} ${value.sides.join(" ")}`;
    root.dataset.sent = Object.keys(payloads).join(" ");
    root.classList.add("filled");
    value.sides.forEach((key, number) => showSide(number, key, isNewClip));
    drawRows(value.rows);
  }
  watch("value", show);
  show();
}
