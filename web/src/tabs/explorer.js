/**
 * The viewer on the page: shows the analyses that the server sends, and keeps what is shown of an example clip in the
 * page's address, so that a link brings it back. The server is asked for nothing but the layers that it held back and for
 * pictures of class evidence that are not there.
 *
 * The component's value is {example: name or "", token: key of the analysis, model: key of the page's model, analysis:
 * payload}, or {} when there is nothing new. The viewer's handle is the property `viewer` of its element, as in the
 * exported page.
 */
import { rootOf } from "../host.js";
import { mount } from "../viewer/mount.js";

const CHOICE = ["t", "x", "y", "layer", "levels"];
/** The class evidence that is shown, where it is not that of the start. */
const EVIDENCE = ["target", "against", "method", "stage"];
/** A browser lets the address be changed about three times a second; milliseconds. */
const PAUSE = 350;

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function explorer(host, { store, setViewer }) {
  /** @type {any} */
  const root = rootOf(host);
  let example = "";
  let timer;
  /** What the viewer shows of the clip when nothing is chosen. */
  let start;

  /** What the address says of an example; the viewer puts right whatever is impossible. */
  function fromAddress(name) {
    const given = new URLSearchParams(location.search);
    if (!name || given.get("example") !== name) return {};
    const read = (key) => (["layer", "method", "stage"].includes(key) ? given.get(key) : Number(given.get(key)));
    const entriesOf = (keys) => keys.filter((key) => given.get(key)).map((key) => [key, read(key)]);
    const state = Object.fromEntries(entriesOf(CHOICE));
    const evidence = Object.fromEntries(entriesOf(EVIDENCE));
    if (Object.keys(evidence).length) state.evidence = evidence;
    if (given.get("maps") === "paper") state.paper = true;
    return state;
  }

  /** An uploaded clip is nobody else's business: its state stays out of the address. */
  function toAddress() {
    const address = new URL(location.href);
    const { searchParams: asked } = address;
    for (const key of ["example", "maps", ...CHOICE, ...EVIDENCE]) asked.delete(key);
    if (example) {
      const state = root.viewer.getState();
      asked.set("example", example);
      const put = (key, value) => asked.set(key, typeof value === "number" ? String(Math.round(10 * value) / 10) : value);
      for (const key of CHOICE) put(key, state[key]);
      for (const key of EVIDENCE) if (state.evidence[key] !== start.evidence[key]) put(key, state.evidence[key] ?? "");
      if (state.paper) asked.set("maps", "paper");
    }
    history.replaceState(history.state, "", address);
  }

  function remember() {
    timer ??= setTimeout(() => {
      timer = undefined;
      toAddress();
    }, PAUSE);
  }

  function show() {
    const { analysis, example: name, token, model } = host.props.value ?? {};
    if (!analysis) return;
    example = name;
    if (root.viewer) {
      root.viewer.update(analysis);
    } else {
      root.viewer = mount(root, analysis, {
        state: fromAddress(name),
        fetchLayer: (layer) => store.engine.layer({ token: store.get().token, model: store.get().model, layer }),
        fetchEvidence: (evidence) => store.engine.evidence({ token: store.get().token, ...evidence }),
      });
      root.viewer.on("change", remember);
      setViewer(root.viewer);
    }
    start = { evidence: root.viewer.firstEvidence };
    toAddress();
    const { notice } = store.get();
    store.set({ token, model, frames: analysis.frames, notice: notice.own ? {} : notice });
  }

  // Gradio rewrites the styles that it is given, and loses some on the way.
  document.head.append(Object.assign(document.createElement("style"), { textContent: VIEWER_STYLES }));
  host.watch("value", show);
  show();
}
