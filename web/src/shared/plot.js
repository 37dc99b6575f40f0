/**
 * Charts: figures of the server's, drawn by Plotly, which is fetched when the first of them is.
 */
import { element } from "../viewer/elements.js";

/** @type {Promise<any> | undefined} */
let plotly;

function fetchPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: new URL("plotly.min.js", new URL(".", location.href)).href });
    script.addEventListener("load", () => resolve(/** @type {any} */ (globalThis).Plotly));
    script.addEventListener("error", () => {
      plotly = undefined; // the next chart tries again
      reject(new Error("The charts' program did not arrive; please try again."));
    });
    document.head.append(script);
  });
  return plotly;
}

/**
 * A place for one chart.
 * @param {string} id
 * @param {(point: {x: any, y: any, customdata?: any}) => void} [clicked] told of the point that is clicked
 */
export function createPlot(id, clicked) {
  /** @type {any} Plotly adds `on` and `removeAllListeners` */
  const place = element("div");
  const root = element("div", { class: "chart", id }, [place]);
  let number = 0;
  return {
    element: root,
    /** Nothing, and nothing of what was to be drawn. */
    clear() {
      number += 1;
      /** @type {any} */ (globalThis).Plotly?.purge(place);
    },
    /** @param {{data: object[], layout: object}} figure the last one given is shown */
    async draw({ data, layout }) {
      number += 1;
      const mine = number;
      const { react } = await fetchPlotly();
      if (mine !== number) return;
      await react(place, data, { ...layout, autosize: true }, { displayModeBar: false, responsive: true });
      if (!clicked) return;
      place.removeAllListeners("plotly_click");
      place.on("plotly_click", ({ points }) => clicked(points[0]));
    },
  };
}
