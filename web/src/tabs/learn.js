/**
 * The Learn tab: steps through the equations, and asks the server what would change without a part of the model.
 */
import { rootOf } from "../host.js";
import { whenOpen } from "../store.js";
import { COLOUR_MAPS, QUERY_COLOUR } from "../viewer/colour_maps.js";
import { queryOf } from "./choice.js";
import { FORMULAS } from "./formulas.js";
import { make, say } from "./learn_numbers.js";
import { colourAt, drawDot, fractions, largest, pane } from "./learn_pictures.js";
import { figure, STEPS, whole } from "./learn_steps.js";
import { LESSONS } from "./lessons.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function learn(host, { store, viewer }) {
  const root = make("section", "learn");
  root.setAttribute("aria-label", "The equations, one at a time");
  root.tabIndex = -1;
  rootOf(host).replaceChildren(root);
  const SHORT = ["Compare", "Gather", "Add", "Difference", "Saliency", "Move", "Attend"];
  const PART_NAMES = { msm: "Motion saliency", offsets: "Offsets", attention: "Attention" };
  let lesson = null;
  let number = 1;
  /** Scope of the switches: every layer, or the one shown. */
  let isHere = false;
  /** The lesson that was asked for, and the part that is off, "" for none. */
  const asked = { lesson: "", part: "" };

  const list = make("ol", "steps");
  for (const each of LESSONS) {
    const button = make("button", "", make("b", "", String(each.number)), make("span", "", SHORT[each.number - 1]));
    button.type = "button";
    button.title = `Equation ${each.number}: ${each.title}`;
    button.addEventListener("click", () => go(each.number));
    list.append(make("li", "", button));
  }
  const guide = make("nav", "guide", list);
  guide.setAttribute("aria-label", "Equations");

  const previous = make("button", "turn", "‹ Previous");
  const next = make("button", "turn", "Next ›");
  for (const [button, by] of [[previous, -1], [next, 1]]) {
    button.type = "button";
    button.addEventListener("click", () => go(number + by));
  }
  const heading = make("h2");
  const formula = make("div", "formula");
  const words = make("p", "words");
  const symbols = make("dl", "symbols");
  const about = make("p", "about");
  const pictures = make("div", "pictures");
  const numbers = make("div", "numbers");
  const says = make("p", "says");
  const place = make("p", "place");
  const announcement = make("p", "unseen");
  announcement.setAttribute("aria-live", "polite");
  // The buttons stay in one place, so that whoever presents need not look for them.
  const turns = make("div", "turns", about, previous, next);
  const text = make("div", "text", turns, heading, formula, words, symbols);
  const step = make("article", "step", text, make("div", "shown", pictures, says, numbers));
  const experiment = make("section", "experiment");
  const waiting = make("p", "waiting", "Choose a clip and a place in it; its numbers will be here.");
  root.replaceChildren(waiting);

  /** A click into a picture of the clip puts the query there, in the viewer too. */
  step.addEventListener("click", (event) => {
    const picture = event.target.closest("svg.frame");
    if (!picture) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
    const clamp = (value, limit) => Math.min(Math.max(value, 0), limit - 1);
    const place = { x: clamp(at.x, lesson.clip.width), y: clamp(at.y, lesson.clip.height) };
    viewer().setState({ ...lesson.choice, ...place });
    askLesson();
  });

  /** The numbers of what the viewer shows, where they are not there yet. */
  function askLesson() {
    const { token } = store.get();
    const question = { token, ...queryOf(viewer().getState()) };
    if (asked.lesson === JSON.stringify(question)) return;
    asked.lesson = JSON.stringify(question);
    store.ask("lesson", "lesson", question, {
      busy: "Computing the steps",
      failed: () => (asked.lesson = ""),
      shown(answer) {
        store.drop("ablate");
        asked.part = "";
        showLesson(answer);
      },
    });
  }
  whenOpen(store, "learn", askLesson);

  /** Show an equation, 1 to 7. */
  function go(to) {
    number = Math.min(Math.max(to, 1), LESSONS.length);
    draw();
    announcement.textContent = `Equation ${number}: ${LESSONS[number - 1].title}`;
  }

  function draw() {
    const { title, formula: math, words: sentence, symbols: rows } = LESSONS[number - 1];
    list.querySelectorAll("button").forEach((button, i) => {
      if (i + 1 === number) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    list.children[number - 1].scrollIntoView({ block: "nearest", inline: "nearest" });
    previous.disabled = number === 1;
    next.disabled = number === LESSONS.length;
    step.dataset.number = number;
    about.textContent = `Equation ${number} of ${LESSONS.length}`;
    heading.textContent = title;
    formula.innerHTML = FORMULAS[math];
    words.textContent = sentence;
    symbols.replaceChildren(
      ...rows.map(([symbol, meaning]) => {
        const term = make("dt");
        term.innerHTML = FORMULAS[symbol];
        return make("div", "", term, make("dd", "", meaning));
      }),
    );
    const shown = STEPS[number](lesson);
    pictures.replaceChildren(...shown.pictures);
    numbers.replaceChildren(...shown.numbers);
    says.textContent = shown.says;
  }

  function showLesson(value) {
    lesson = value;
    const [column, row] = lesson.cell;
    place.textContent =
      `Your query (${lesson.choice.x.toFixed(0)}, ${lesson.choice.y.toFixed(0)}) in frame ${lesson.frames[0]} lies in cell ` +
      `(${column}, ${row}) of layer ${lesson.choice.layer}, whose map has ${lesson.grid[0]} × ${lesson.grid[1]} cells with ` +
      `${lesson.channels} channels each. Click into a picture for another place; choose layer and frame in Explore.`;
    if (!step.isConnected) root.replaceChildren(guide, announcement, step, place, experiment);
    draw();
    drawExperiment();
  }

  /* What would change if … */

  function drawExperiment(answer = null) {
    const title = make("h2", "", "What would change if a part were switched off?");
    const switches = make("div", "switches");
    switches.setAttribute("role", "group");
    switches.setAttribute("aria-label", "Switch a part off");
    for (const part of lesson.parts) {
      const button = make("button", "", `${PART_NAMES[part]} off`);
      button.type = "button";
      button.dataset.part = part;
      button.title = lesson.partWords[part];
      button.setAttribute("aria-pressed", String(part === asked.part));
      button.addEventListener("click", () => switchOff(part === asked.part ? "" : part));
      switches.append(button);
    }
    const where = make("label", "where", make("span", "", "in"));
    const choice = make("select");
    choice.append(new Option("every SIFA layer", "all"), new Option(`${lesson.choice.layer} only`, "here"));
    choice.value = isHere ? "here" : "all";
    choice.addEventListener("change", () => {
      isHere = choice.value === "here";
      if (asked.part) switchOff(asked.part);
    });
    where.append(choice);
    /** @type {any} */
    const active = document.activeElement;
    const focused = experiment.contains(active) ? active.dataset.part : "";
    const outcome = make("div", "outcome");
    outcome.setAttribute("aria-live", "polite");
    experiment.replaceChildren(title, make("div", "row", switches, where), outcome);
    if (focused) switches.querySelector(`[data-part="${focused}"]`)?.focus();
    if (answer) outcome.append(...resultOf(answer));
    else if (asked.part) outcome.append(make("p", "busy", "Running the model without it …"));
    else outcome.append(make("p", "words", "Same clip, same weights, one part less: the model runs again and shows the difference."));
  }

  function switchOff(part) {
    asked.part = part;
    store.drop("ablate");
    drawExperiment();
    if (!part) return;
    const { t, x, y, layer, levels } = lesson.choice;
    const question = { token: store.get().token, part, here: isHere, frame: t, x, y, layer, levels };
    store.ask("ablate", "ablate", question, {
      shown: drawExperiment,
      failed() {
        asked.part = ""; // the page says why
        drawExperiment();
      },
    });
  }

  const percent = (fraction) => `${(100 * fraction).toFixed(fraction > 0.0995 && fraction < 0.9995 ? 0 : 1)} %`;

  function resultOf(answer) {
    const parts = [make("p", "words", lesson.partWords[asked.part])];
    if (answer.probabilities.length) {
      const table = make("table", "bars", make("caption", "", "Predictions, with the part and without it"));
      for (const [label, before, after] of answer.probabilities) {
        const name = make("th", "", make("bdi", "", label));
        name.scope = "row";
        const bar = make("td", "bar", make("i", "before"), make("i", "after"));
        bar.children[0].style.width = `${100 * before}%`;
        bar.children[1].style.width = `${100 * after}%`;
        table.append(make("tr", "", name, bar, make("td", "", `${percent(before)} → ${percent(after)}`)));
      }
      parts.push(table);
    } else if (!lesson.trained) {
      parts.push(make("p", "words", "This model is untrained, so there are no predictions to compare."));
    }
    const points = (which, label) => {
      const scaled = fractions(answer[which].weights);
      const draw = (svg, unit) => {
        for (const i of largest(answer[which].weights, scaled.length).reverse()) {
          drawDot(svg, answer[which].points[i], 0.7 + 0.8 * scaled[i], colourAt(COLOUR_MAPS.weights, scaled[i]).css, unit);
        }
        drawDot(svg, [lesson.choice.x, lesson.choice.y], 1.3, QUERY_COLOUR, unit);
      };
      return figure(pane(lesson, 1, whole(lesson), label, draw, true), label);
    };
    const after = asked.part === "attention" ? "Without: the points are found, but nothing is gathered" : "Without";
    parts.push(make("div", "pictures", points("before", "With the part"), points("after", after)));
    parts.push(
      make("p", "says", `The ${answer.before.points.length} points of your query lie ${say(answer.moved)} pixels elsewhere on average.`),
    );
    return parts;
  }

  /* Keys: arrows and digits, wherever no other control wants them. */
  document.addEventListener("keydown", (event) => {
    const at = /** @type {HTMLElement} */ (event.target);
    if (!lesson || !root.checkVisibility() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (at !== document.body && !root.contains(at)) return;
    if (at.closest("select, input, textarea")) return;
    const to = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 1, End: LESSONS.length }[event.key];
    const digit = /^[1-7]$/.test(event.key) ? Number(event.key) : undefined;
    if ((to ?? digit) === undefined) return;
    if (at.closest(".scroller") && event.key.startsWith("Arrow")) return;
    event.preventDefault();
    go(to ?? digit);
  });
}
