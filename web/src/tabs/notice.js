/**
 * The line for progress and errors: the server's last word, or what this page itself has to say since. The component's
 * value is {busy: step} or {failure: sentence}, or {} for nothing.
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

  const fromServer = () => store.set({ notice: host.props.value ?? {} });
  store.subscribe(draw);
  host.watch("value", fromServer);
  fromServer();
}
