/**
 * The controls as cards beside the original: a filmstrip, what the model makes of it, and what that says.
 */
import { element } from "../viewer/elements.js";

/** Original and controls. */
const COUNT = 5;

const heading = (isTrained) =>
  element("div", { class: "controls-head" }, [
    element("h2", { text: "Controls" }),
    element("p", {
      text:
        "Attention is not an explanation by itself. What happens to the prediction when the clip loses its motion, its " +
        "direction or its order?",
    }),
    isTrained ? null : element("p", { text: "The model is untrained, so it has no predictions to lose." }),
  ]);

/** While the controls are being run. */
export function waitingCards() {
  const cards = element("div", { class: "cards", "aria-busy": "true" });
  for (let i = 0; i < COUNT; i += 1) cards.append(element("section", { class: "card waiting" }));
  return element("div", { class: "sheet" }, [heading(true), cards]);
}

/** Predictions only of a trained model. @param {{cards: any[], trained: boolean}} answer */
export function controlCards({ cards, trained }) {
  const all = element("div", { class: "cards" }, cards.map((card) => cardOf(card, trained)));
  return element("div", { class: "sheet" }, [heading(trained), all]);
}

function cardOf(card, isTrained) {
  const pictures = card.pictures.map((jpeg) => element("img", { src: `data:image/jpeg;base64,${jpeg}`, alt: "" }));
  return element("section", { class: "card" }, [
    element("h3", { text: card.title }),
    element("div", { class: "filmstrip" }, pictures),
    element("p", { class: "about", text: card.about }),
    isTrained ? element("ol", {}, card.predictions.map(bar)) : null,
    isTrained && card.change !== null ? change(card) : null,
    element("p", { class: "about", text: `Offsets of ${card.layer}: ${card.length.toFixed(2)} cells on average.` }),
  ]);
}

function bar({ label, probability }) {
  const line = element("i");
  line.style.setProperty("--fraction", `${(100 * probability).toFixed(1)}%`);
  const percent = element("span", { text: `${(100 * probability).toFixed(0)} %` });
  return element("li", {}, [element("bdi", { title: label, text: label }), percent, line]);
}

function change({ change: difference, label, verdict }) {
  const points = Math.round(100 * difference);
  const amount = `${points > 0 ? "+" : points < 0 ? "−" : "±"}${Math.abs(points)} points`;
  return element("p", { class: "change" }, [
    element("b", { text: amount }),
    document.createTextNode(" for "),
    element("bdi", { text: label }),
    document.createTextNode(`: the prediction ${verdict}.`),
  ]);
}
