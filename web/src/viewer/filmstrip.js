/**
 * The bar under the panes: play, the filmstrip of the whole clip, zoom. Frames of the clip that the model merges into one
 * feature frame stand together.
 */
import { element, icon, ICONS } from "./elements.js";

/** A frame stays at least this long while playing, so that its points can be seen; milliseconds. */
const SHORTEST_SHOW = 420;

/**
 * @param {import("./payload.js").Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store
 * @param {ReturnType<typeof import("./actions.js").createActions>} actions
 */
export function createFilmstrip(analysis, store, actions) {
  const button = (name, path, title, action) =>
    element("button", { class: `tool ${name}`, type: "button", title, "aria-label": title, on: { click: action } }, [
      icon(path),
    ]);
  const back = button("back", ICONS.previous, "Frame before (,)", () => actions.step(-1));
  const play = button("play", ICONS.play, "Play (Space)", actions.togglePlaying);
  const forward = button("forward", ICONS.next, "Frame after (.)", () => actions.step(1));
  const wider = button("wider", ICONS.wider, "Wider (−)", () => actions.zoom(1 / 1.5));
  const closer = button("closer", ICONS.closer, "Closer (+)", () => actions.zoom(1.5));
  const whole = button("whole", ICONS.whole, "Whole picture (0)", actions.wholePicture);

  const frames = analysis.frames.map(({ time }, t) => {
    const pictures = analysis.thumbnails.filter((thumbnail) => thumbnail.t === t).map(({ image }) => image);
    for (const image of pictures) Object.assign(image, { alt: "", draggable: false });
    const title = `Frame ${t}, ${time.toFixed(2)} s: ${pictures.length} of the clip's frames, merged by the model`;
    const properties = { class: "moment", type: "button", title, "aria-label": title, on: { click: () => actions.goTo(t) } };
    return element("button", properties, [...pictures, element("span", { class: "number", text: String(t) })]);
  });
  const strip = element("div", { class: "strip", role: "group", "aria-label": "Filmstrip of the clip" }, frames);
  const bar = element("div", { class: "filmstrip" }, [
    element("div", { class: "tools" }, [back, play, forward]),
    strip,
    element("div", { class: "tools" }, [wider, closer, whole]),
  ]);

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  function schedule() {
    const { t } = store.get();
    const next = analysis.frames[t + 1];
    const real = next ? 1000 * (next.time - analysis.frames[t].time) : 0;
    timer = setTimeout(() => {
      actions.step(1);
      schedule();
    }, Math.max(real, SHORTEST_SHOW));
  }

  let isPlaying = false;
  return {
    element: bar,
    /** @param {import("./state.js").State} state */
    update(state) {
      if (state.playing !== isPlaying) {
        isPlaying = state.playing;
        clearTimeout(timer);
        if (isPlaying) schedule();
        play.replaceChildren(icon(isPlaying ? ICONS.pause : ICONS.play));
        play.title = isPlaying ? "Stop (Space)" : "Play (Space)";
        play.setAttribute("aria-label", play.title);
      }
      const following = Math.min(state.t + 1, frames.length - 1);
      frames.forEach((frame, t) => {
        frame.classList.toggle("now", t === state.t);
        frame.classList.toggle("next", t === following && t !== state.t);
        if (t === state.t) frame.setAttribute("aria-current", "true");
        else frame.removeAttribute("aria-current");
      });
      const current = frames[state.t];
      if (current.offsetLeft < strip.scrollLeft) strip.scrollLeft = current.offsetLeft;
      const end = current.offsetLeft + current.offsetWidth;
      if (end > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = end - strip.clientWidth;
      wider.disabled = whole.disabled = state.view.zoom <= 1;
    },
    destroy: () => clearTimeout(timer),
  };
}
