/**
 * Can this picture be believed? The picture of class evidence that the viewer shows, put to the test below it.
 *
 * The test runs when it is asked for. What it says names class, method and stage, so that it is true of no other picture,
 * and it goes when another clip is shown. The component's value is {question, explanation, button, charts: names}.
 */
import { rootOf } from "../host.js";
import { createPlot } from "../shared/plot.js";
import { element } from "../viewer/elements.js";
import { evidenceOf } from "./choice.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function faithfulness(host, { store, viewer }) {
  const { question, explanation, button, charts: names } = host.props.value;
  const start = element("button", { type: "button", id: "believe-start", text: button, on: { click: test } });
  const verdict = element("div", { id: "believe-verdict", "aria-live": "polite" });
  /** @type {[string, ReturnType<typeof createPlot>][]} */
  const plots = names.map((name) => [name, createPlot(`believe-${name}`)]);
  const row = element("div", { class: "believe-charts", hidden: true }, plots.map(([, plot]) => plot.element));
  const about = element("p", { class: "about", text: explanation });
  const content = element("div", { class: "content" }, [about, start, verdict, row]);
  rootOf(host).replaceChildren(element("details", {}, [element("summary", { text: question }), content]));

  function say(...nodes) {
    verdict.replaceChildren(...nodes);
    row.hidden = true;
  }

  const busy = (words) => say(element("p", { class: "line busy", role: "status", text: `${words} …` }));

  function test() {
    const { token } = store.get();
    if (!token) return;
    store.set({ notice: {} });
    busy("Waiting for the model");
    store.ask("faithfulness", "faithfulness", { token, ...evidenceOf(viewer().getState()) }, {
      tell: ({ step, done }) => busy(`${step}, ${Math.round(100 * done)}% done`),
      failed: () => say(),
      shown(answer) {
        say(wordsOf(answer));
        row.hidden = false;
        for (const [name, plot] of plots) plot.draw(answer.charts[name]);
      },
    });
  }

  store.subscribe((state, before) => {
    if (state.token !== before.token) say();
  });
}

/** Headline, sentences, and what was tested. */
function wordsOf({ faithful, headline, sentences, tested, method }) {
  return element("div", { class: `verdict ${faithful ? "fine" : "warn"}`, role: "status" }, [
    element("p", {}, [element("b", { text: headline })]),
    element("ul", {}, sentences.map((text) => element("li", { text }))),
    element("p", { class: "about" }, [element("bdi", { text: tested }), document.createTextNode(`${method}.`)]),
  ]);
}
