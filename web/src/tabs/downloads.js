/**
 * Files of what is shown. They travel inside the answer and are saved by the browser: none stays on the server's disk.
 * The component's value is a list of [kind, words on its button].
 */
import { rootOf } from "../host.js";
import { element, saveAs } from "../viewer/elements.js";
import { evidenceOf, queryOf } from "./choice.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function downloads(host, { store, viewer }) {
  function save(kind) {
    const { token } = store.get();
    if (!token) return;
    const state = viewer().getState();
    store.ask(`export ${kind}`, "export", { token, kind, ...queryOf(state), ...evidenceOf(state), paper: state.paper }, {
      busy: `Writing the ${kind.toUpperCase()} file`,
      shown({ name, type, data }) {
        const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
        saveAs(new Blob([bytes], { type }), name);
      },
    });
  }

  rootOf(host).replaceChildren(
    ...host.props.value.map(([kind, words]) =>
      element("button", { type: "button", id: `save-${kind}`, text: words, on: { click: () => save(kind) } }),
    ),
  );
}
