/**
 * The paper's accuracies against cost, one data set at a time. The component's value is a list of [data set, title].
 */
import { rootOf } from "../host.js";
import { createPlot } from "../shared/plot.js";
import { element } from "../viewer/elements.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function costs(host, { store }) {
  const choices = host.props.value.map(([value, title], number) => {
    const box = element("input", { type: "radio", name: "about-dataset", value, checked: number === 0, on: { change: draw } });
    return element("label", {}, [box, element("span", { text: title })]);
  });
  const chosen = element("div", { id: "about-dataset", role: "radiogroup", "aria-label": "Data set" }, choices);
  const chart = createPlot("about-chart");
  rootOf(host).replaceChildren(chosen, chart.element);

  function draw() {
    const { value: dataset } = chosen.querySelector("input:checked");
    store.ask("costs", "costs", { dataset }, { shown: chart.draw });
  }
  draw();
}
