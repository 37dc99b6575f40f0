/**
 * The clips to choose from: the page's own, and a visitor's. The component's value is a list of {name, title, thumbnail}.
 */
import { rootOf } from "../host.js";
import { element, icon, ICONS } from "../viewer/elements.js";

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function sources(host, { store, open }) {
  const buttons = host.props.value.map(({ name, title, thumbnail }) => {
    const parts = [element("img", { src: thumbnail, alt: "" }), element("span", { text: title })];
    const on = { click: () => open({ example: name }) };
    return element("button", { type: "button", data: { name }, "aria-pressed": "false", on }, parts);
  });
  const gallery = element("div", { class: "gallery", role: "group", "aria-label": "Example clips" }, buttons);
  rootOf(host).replaceChildren(element("div", { id: "examples" }, [gallery]), uploadBox(open));

  function mark() {
    for (const button of buttons) {
      const isChosen = button.dataset.name === store.get().example;
      button.setAttribute("aria-pressed", String(isChosen));
      if (isChosen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  store.subscribe((state, before) => {
    if (state.token !== before.token) mark();
  });
  mark();
}

/**
 * The browser's own control lies over the box unseen, so that it takes clicks, keys and dropped files. Any ending is
 * welcome: the content decides, and what cannot be read is refused in one sentence.
 */
function uploadBox(open) {
  const input = element("input", { type: "file", "aria-label": "Your own clip" });
  input.addEventListener("change", () => {
    const [clip] = input.files;
    if (clip) open({ clip });
    input.value = ""; // the same file can be chosen again
  });
  return element("div", { id: "upload" }, [
    element("p", { class: "invitation" }, [icon(ICONS.upload), element("b", { text: "Your own clip" })]),
    element("p", { text: "drop it, or choose a file" }),
    input,
  ]);
}
