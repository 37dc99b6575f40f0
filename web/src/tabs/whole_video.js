/**
 * The whole video below the viewer: how it moves, what the network makes of it moment by moment, and another moment to look
 * at. Closed at first; nothing is computed before it is opened.
 */
import { rootOf } from "../host.js";
import { createPlot } from "../shared/plot.js";
import { element } from "../viewer/elements.js";

const TITLE = "The whole video, and another moment of it";
const EXPLANATION =
  "The viewer shows one window of the video. Here is all of it: how much moves, and what the network would say of each " +
  "moment. Click a moment, or write where a window starts and how far apart its frames are, and the viewer shows that " +
  "one.";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function wholeVideo(host, { store, open }) {
  const plot = createPlot("timeline", choose);
  const second = element("input", { type: "number", min: "0", step: "any" });
  const stride = element("input", { type: "number", min: "1", step: "1" });
  const show = element("button", { type: "submit", id: "window-show", text: "Show this moment" });
  const choice = element("form", { id: "window-choice", noValidate: true }, [
    element("label", { id: "window-start" }, [element("span", { text: "First frame, at second" }), second]),
    element("label", { id: "window-stride" }, [element("span", { text: "One frame in" }), stride]),
    show,
  ]);
  const about = element("p", { class: "about", text: EXPLANATION });
  const content = element("div", { class: "content" }, [about, plot.element, choice]);
  const panel = element("details", {}, [element("summary", { text: TITLE }), content]);
  rootOf(host).replaceChildren(panel);
  /** The clip whose video is drawn, or is about to be. */
  let drawn = "";

  const numberIn = (input) => (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : null);
  /**
   * A moment of a class's line has its first and last second and its stride; a place of the movement is a second.
   * @param {{x: any, customdata?: any}} point
   */
  function choose({ x, customdata }) {
    second.value = String(Math.round(100 * (customdata?.[0] ?? x)) / 100);
    if (customdata) stride.value = String(customdata[2]);
  }

  choice.addEventListener("submit", (event) => {
    event.preventDefault();
    const { token } = store.get();
    if (token) open({ token, second: numberIn(second), stride: numberIn(stride) });
  });

  function draw() {
    const { token } = store.get();
    if (!token || token === drawn || !panel.open || !panel.checkVisibility()) return;
    drawn = token;
    store.ask("whole video", "whole_video", { token }, {
      busy: "Looking at the whole video",
      shown: plot.draw,
      failed: () => (drawn = ""),
    });
  }

  panel.addEventListener("toggle", draw);
  store.subscribe((state, before) => {
    if (state.token !== before.token) {
      second.value = state.moment.second;
      stride.value = state.moment.stride;
      plot.clear();
    }
    if (state.token !== before.token || state.tab !== before.tab) draw();
  });
}
