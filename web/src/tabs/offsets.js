/**
 * The Offsets tab: are offsets and attention alive? Findings in words, layers by frames, distributions, controls.
 */
import { rootOf } from "../host.js";
import { createPlot } from "../shared/plot.js";
import { whenOpen } from "../store.js";
import { element } from "../viewer/elements.js";
import { controlCards, waitingCards } from "./offset_controls.js";
import { createMatrix } from "./offsets_matrix.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function offsets(host, { store, viewer }) {
  const findings = element("ul", { class: "findings", "aria-label": "What was found" });
  const matrix = createMatrix({ viewer, open });
  const layer = element("select", { on: { change: draw } });
  const frame = element("select", { on: { change: draw } });
  const lengths = createPlot("offset-lengths");
  const directions = createPlot("offset-directions");
  const cards = element("div", { id: "offset-controls" });
  const chooser = element("div", { class: "chooser" }, [
    element("h2", { text: "Lengths and directions" }),
    element("label", { text: "Layer " }, [layer]),
    element("label", { text: "Frames " }, [frame]),
  ]);
  const charts = element("div", { class: "charts" }, [lengths.element, directions.element]);
  const root = element("div", { class: "offsets-tab", hidden: true }, [
    element("div", { id: "findings" }, [findings]),
    element("div", { class: "offsets-top" }, [
      element("div", { id: "offset-matrix" }, [matrix.element]),
      element("div", { class: "sheet distributions" }, [chooser, charts]),
    ]),
    cards,
  ]);
  rootOf(host).replaceChildren(root);
  /** The clip whose matrix is shown, and the one whose controls are. */
  const filled = { matrix: "", controls: "" };

  function fill(token) {
    if (filled.matrix === token) {
      choosePlace();
      askControls(token);
      return;
    }
    store.ask("offsets", "offsets", { token }, {
      busy: "Measuring offsets against the motion of the clip",
      shown({ findings: found, matrix: shown }) {
        filled.matrix = token;
        root.hidden = false;
        findings.replaceChildren(...found.map(findingOf));
        matrix.show(shown);
        fillSelect(layer, shown.layers.map(({ name }) => name));
        fillSelect(frame, shown.frames);
        choosePlace();
        askControls(token);
      },
    });
  }

  /** Layer and frame that the viewer shows; the last frame that attends to another one for the one that attends to none. */
  function choosePlace() {
    const { layer: name, t } = viewer().getState();
    layer.value = name;
    frame.selectedIndex = Math.min(t, frame.length - 1);
    draw();
  }

  function draw() {
    const question = { token: store.get().token, layer: layer.value, frame: frame.selectedIndex };
    store.ask("distributions", "distributions", question, {
      shown(figures) {
        lengths.draw(figures.lengths);
        directions.draw(figures.directions);
      },
    });
  }

  function askControls(token) {
    if (filled.controls === token) return;
    cards.replaceChildren(waitingCards());
    store.ask("controls", "controls", { token }, {
      busy: "Running the model on the controls",
      failed: () => cards.replaceChildren(),
      shown(answer) {
        filled.controls = token;
        cards.replaceChildren(controlCards(answer));
      },
    });
  }

  /** A layer and frame in the viewer of Explore. */
  function open(name, t) {
    viewer().setState({ layer: name, t });
    /** @type {HTMLElement} */ (document.querySelector("#to-explore")).click();
    const focus = () => {
      /** @type {HTMLElement} */ (document.querySelector("#explorer .screen.here"))?.focus({ preventScroll: true });
    };
    requestAnimationFrame(() => requestAnimationFrame(focus)); // the viewer has to be there again first
    scrollTo({ top: 0 });
  }

  whenOpen(store, "offsets", fill);
}

const fillSelect = (select, texts) => select.replaceChildren(...texts.map((text) => new Option(text, text)));

/** @param {{kind: "fine" | "fault" | "note", sentence: string, advice: string}} found */
function findingOf({ kind, sentence, advice }) {
  const word = { fault: "Fault.", note: "Note." }[kind];
  const parts = [
    word && element("b", { text: word }),
    document.createTextNode(`${word ? " " : ""}${sentence} `),
    advice && element("span", { class: "advice", text: advice }),
  ];
  return element("li", { class: kind }, [element("p", {}, parts)]);
}
