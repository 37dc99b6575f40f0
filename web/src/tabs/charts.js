/**
 * Charts of the viewer's query, below it: closed at first, and drawn only while they are open. When the viewer has been
 * still for a moment, they are asked for once. The component's value is the list of their names.
 */
import { rootOf } from "../host.js";
import { createPlot } from "../shared/plot.js";
import { element } from "../viewer/elements.js";
import { queryOf } from "./choice.js";

/** Milliseconds without a change. */
const PAUSE = 400;

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function charts(host, { store, viewer }) {
  /** @type {[string, ReturnType<typeof createPlot>][]} */
  const plots = host.props.value.map((name) => [name, createPlot(`chart-${name}`)]);
  const grid = element("div", { class: "charts-grid" }, plots.map(([, plot]) => plot.element));
  const panel = element("details", {}, [element("summary", { text: "Charts of this query" }), grid]);
  rootOf(host).replaceChildren(panel);
  let timer;
  let drawn = "";

  function ask() {
    const { token } = store.get();
    if (!token || !panel.open || !panel.checkVisibility()) return;
    const question = { token, ...queryOf(viewer().getState()) };
    const asked = JSON.stringify(question);
    if (asked === drawn) return;
    drawn = asked;
    store.ask("charts", "charts", question, {
      shown: (figures) => plots.forEach(([name, plot]) => plot.draw(figures[name])),
      failed: () => (drawn = ""),
    });
  }

  function askSoon() {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  }

  let followed;
  function follow() {
    if (followed === viewer()) return;
    followed = viewer();
    followed.on("change", askSoon);
  }
  panel.addEventListener("toggle", ask);
  store.subscribe((state, before) => {
    if (state.token !== before.token) follow();
    if (state.token !== before.token || state.tab !== before.tab) askSoon();
  });
  if (viewer()) follow();
}
