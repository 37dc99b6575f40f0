/**
 * What is being looked at: the clip and the model. All names are untrusted and shown as text.
 */
import { element } from "./elements.js";
import { KEY_HELP } from "./keys.js";

const BADGES = {
  demo: ["demo model", "Small weights that come with the program"],
  own: ["own model", "Weights from a file of your own"],
  untrained: ["untrained", "Random weights: what is shown is how the network is wired, not what it learnt"],
};

/** @param {import("./payload.js").Analysis} analysis */
export function createHeader({ clip, model }) {
  const [word, title] = BADGES[model.status] ?? [model.status, ""];
  const keys = element("details", { class: "keys" }, [
    element("summary", { text: "Keys" }),
    element(
      "dl",
      {},
      KEY_HELP.map(([key, does]) => element("div", {}, [element("dt", { text: key }), element("dd", { text: does })])),
    ),
  ]);
  const facts = [
    `${clip.width} × ${clip.height}`,
    `${Number(clip.fps.toFixed(2))} frames/s`,
    `${clip.frames} frames, ${clip.first_time.toFixed(2)} to ${clip.last_time.toFixed(2)} s`,
  ];
  return element("header", {}, [
    element("div", { class: "clip-facts" }, [
      element("h1", {}, [element("bdi", { text: clip.name || "clip", title: clip.name })]),
      element("p", { text: facts.join(" · ") }),
    ]),
    element("div", { class: "model-facts" }, [
      element("bdi", { class: "model-name", text: model.name }),
      element("span", { class: `badge ${model.status}`, text: word, title }),
      keys,
    ]),
  ]);
}

/** @param {import("./payload.js").Analysis} analysis */
export function createFooter({ clip, model }) {
  const fact = (name, value) =>
    element("div", {}, [element("dt", { text: name }), element("dd", {}, [element("code", { text: value })])]);
  const weights = model.sha256 ? fact("Model sha256", model.sha256) : null;
  const source = model.source ? fact("Weights", model.source) : null;
  return element("footer", {}, [element("dl", {}, [fact("Clip sha256", clip.sha256), source, weights])]);
}
