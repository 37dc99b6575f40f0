/**
 * The group of the prediction, whose classes can be asked for, and the row above the figure that says which picture of
 * class evidence is shown: for which class, rather than which other, found how and read where. All names are untrusted
 * and shown as text.
 */
import { element, group } from "./elements.js";
import { evidenceKey } from "./payload.js";

const UNTRAINED = "This model is untrained, so it has nothing to predict. Its points and maps are real, but random.";

const percentOf = (probability) => `${(100 * probability).toFixed(probability < 0.1 ? 1 : 0)} %`;

/** A chooser with a label before it. @param {string} words @param {string} title @param {(value: string) => void} choose */
function labelled(words, title, choose) {
  const select = element("select", { "aria-label": title, title, on: { change: () => choose(select.value) } });
  return { select, row: element("label", { class: "evidence-choice", title }, [element("span", { text: words }), select]) };
}

/** @param {HTMLSelectElement} select @param {[string, string][]} options value and text */
function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, text })));
  select.value = chosen;
}

/**
 * @param {import("./payload.js").Analysis} analysis @param {ReturnType<typeof import("./state.js").createStore>} store
 * @param {ReturnType<typeof import("./actions.js").createActions>} actions
 */
export function createEvidenceControls(analysis, store, actions) {
  const { predictions, video, methods, stages, model } = analysis;
  if (!predictions) {
    const content = [element("p", { class: "note", text: UNTRAINED })];
    return { element: group("Prediction", content, "prediction-group"), row: null, update() {} };
  }
  /** Only what is here or can be had is offered. */
  const isThere = (choice) => store.canFetchEvidence || analysis.evidence.has(evidenceKey(choice));
  const withChoice = (patch) => ({ ...store.get().evidence, ...patch });

  const bars = predictions.map(({ label, probability }) => {
    const number = model.classes.indexOf(label);
    const bar = element("i");
    bar.style.width = `${100 * probability}%`;
    const button = element(
      "button",
      { type: "button", title: `Show the evidence for ${label}`, on: { click: () => explain(number) } },
      [element("bdi", { text: label }), element("span", { class: "percent", text: percentOf(probability) })],
    );
    const meter = element("span", { class: "meter", "aria-hidden": "true" }, [bar]);
    return { number, button, row: element("li", {}, [button, meter]) };
  });
  const explain = (target) => {
    const { against } = store.get().evidence;
    actions.chooseEvidence({ target, against: against === target ? null : against });
    if (!store.get().overlays.evidence) actions.toggleOverlay("evidence");
  };

  const against = labelled("rather than", "Another class: evidence for the one rather than for the other", (value) =>
    actions.chooseEvidence({ against: value === "" ? null : Number(value) }),
  );
  const method = labelled("by", "How class evidence is found", (value) => actions.chooseEvidence({ method: value }));
  const stage = labelled("in", "The stage whose feature map it is read at", (value) =>
    actions.chooseEvidence({ stage: value }),
  );
  const explained = element("bdi");
  const heading = element("span", { class: "explained-class" }, [document.createTextNode("Evidence for "), explained]);
  const words = element("p", { class: "note method-words" });
  const note = element("p", { class: "note", role: "status" });
  const row = element("div", { class: "evidence-choices", role: "group", "aria-label": "Class evidence" }, [
    heading,
    against.row,
    method.row,
    stage.row,
    note,
    words,
  ]);

  const content = [element("ol", { class: "bars" }, bars.map(({ row }) => row))];
  if (video) {
    const [{ label, probability }] = video;
    const title = "Mean over clips spread over the video; the bars are of the clip that is shown";
    const whole = element("p", { class: "note whole", title });
    whole.append("Whole video: ", element("bdi", { text: label }), ` ${percentOf(probability)}`);
    content.push(whole);
  }

  return {
    element: group("Prediction", content, "prediction-group"),
    row,
    /** @param {import("./state.js").State} state */
    update({ evidence, evidenceNote }) {
      for (const { number, button, row } of bars) {
        row.classList.toggle("explained", number === evidence.target);
        button.setAttribute("aria-pressed", String(number === evidence.target));
        button.disabled = !isThere(withChoice({ target: number, against: null }));
      }
      explained.textContent = model.classes[evidence.target];
      const others = bars.filter(({ number }) => isThere(withChoice({ against: number })) && number !== evidence.target);
      const chosen = evidence.against === null ? "" : String(evidence.against);
      /** @type {[string, string][]} */
      const names = others.map(({ number }) => [String(number), model.classes[number]]);
      if (chosen && !names.some(([value]) => value === chosen)) names.push([chosen, model.classes[evidence.against]]);
      fill(against.select, [["", "any other"], ...names], chosen);
      against.row.hidden = names.length === 0;
      const ways = methods.filter(({ name, stage: own }) => isThere(withChoice({ method: name, stage: own })));
      fill(method.select, ways.map(({ name, title }) => [name, title]), evidence.method);
      const places = stages.filter((name) => name === evidence.stage || isThere(withChoice({ stage: name })));
      fill(stage.select, places.map((name) => [name, name]), evidence.stage);
      words.textContent = `${methods.find(({ name }) => name === evidence.method).words}.`;
      note.textContent = evidenceNote;
      note.hidden = !evidenceNote;
    },
  };
}
