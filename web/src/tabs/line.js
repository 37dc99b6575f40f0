/**
 * The line above the tabs: what is being looked at, and what is being done or went wrong.
 */
import { rootOf } from "../host.js";
import { element } from "../viewer/elements.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function notice(host, { store }) {
  const root = rootOf(host);

  function draw() {
    const { busy, failure } = store.get().notice;
    const line = failure
      ? element("p", { class: "line failure", role: "alert", text: failure })
      : busy && element("p", { class: "line busy", role: "status", text: `${busy} …` });
    if (line?.textContent !== (root.textContent || undefined)) root.replaceChildren(...(line ? [line] : []));
  }

  store.subscribe(draw);
  draw();
}

/** What is to be said of the clip. @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function status(host, { store }) {
  const root = rootOf(host);

  function draw() {
    const { clip } = store.get();
    if (!clip) return;
    const { name, facts, remark } = clip;
    root.replaceChildren(
      element("p", { class: "line", role: "status" }, [
        element("bdi", { class: "name", text: name }),
        element("span", { class: "facts", text: facts.join(" · ") }),
        remark && element("span", { class: "remark", text: remark }),
      ]),
    );
  }

  store.subscribe((state, before) => {
    if (state.clip !== before.clip) draw();
  });
  draw();
}
