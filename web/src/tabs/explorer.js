/**
 * The viewer on the page: opens clips, and keeps what is shown of an example clip in the page's address, so that a link
 * brings it back. Nothing else is asked for but the layers that a payload holds back and pictures of class evidence that
 * are not there.
 *
 * The component's value is the names of the example clips. The viewer's handle is the property `viewer` of its element, as
 * in the exported page.
 */
import { rootOf } from "../host.js";
import { mount } from "../viewer/mount.js";

const CHOICE = ["t", "x", "y", "layer", "levels"];
const WINDOW = ["start", "stride"];
/** The class evidence that is shown, where it is not that of the start. */
const EVIDENCE = ["target", "against", "method", "stage"];
/** A browser lets the address be changed about three times a second; milliseconds. */
const PAUSE = 350;

/** @param {import("../host.js").Host} host @param {import("../host.js").Page} page */
export function explorer(host, { store, setViewer, setOpen }) {
  /** @type {any} */
  const root = rootOf(host);
  let example = "";
  /** The clip that the viewer shows; the page hears of it once it does. */
  let shown = { token: "", model: "" };
  /** @type {{start: number, stride: number} | null} the window, if it is not the one that was chosen for the clip */
  let place = null;
  let timer;
  /** What the viewer shows of the clip when nothing is chosen. */
  let start;

  /** What the address says of an example; the viewer puts right whatever is impossible. */
  function fromAddress(name) {
    const given = new URLSearchParams(location.search);
    if (!name || given.get("example") !== name) return {};
    const number = (key) => (given.get(key) ? Number(given.get(key)) : undefined);
    if (WINDOW.some((key) => number(key) !== place?.[key])) return {};
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
    for (const key of ["example", "maps", ...WINDOW, ...CHOICE, ...EVIDENCE]) asked.delete(key);
    if (example) {
      const state = root.viewer.getState();
      asked.set("example", example);
      const put = (key, value) => asked.set(key, typeof value === "number" ? String(Math.round(10 * value) / 10) : value);
      if (place) for (const key of WINDOW) put(key, place[key]);
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

  /** @param {{token: string, example: string, window: typeof place, moment: any, model: string, clip: any, analysis: any}} answer */
  function show({ token, example: name, window: chosen, moment, model, clip, analysis }) {
    example = name;
    place = chosen;
    shown = { token, model };
    store.set({ model, example, clip, moment, frames: analysis.frames, notice: {} });
    if (root.viewer) {
      root.viewer.update(analysis);
    } else {
      root.viewer = mount(root, analysis, {
        state: fromAddress(name),
        fetchLayer: (layer) => store.engine.layer({ ...shown, layer }),
        fetchEvidence: (evidence) => store.engine.evidence({ token: shown.token, ...evidence }),
      });
      root.viewer.on("change", remember);
      setViewer(root.viewer);
    }
    start = { evidence: root.viewer.firstEvidence };
    toAddress();
    store.set({ token }); // whoever hears of it finds the viewer showing the clip
  }

  /** The last clip that is asked for is shown, and `failure` said then. */
  function open(question, failure = "") {
    store.ask("open", "open", question, {
      busy: question.clip ? "Sending the clip" : "Opening",
      shown(answer) {
        show(answer);
        if (failure) store.set({ notice: { failure } });
      },
    });
  }

  /** The example that the address names, or the first one. */
  function openFirst() {
    const names = host.props.value;
    const given = new URLSearchParams(location.search);
    const asked = given.get("example");
    if (!names.length) {
      store.set({ notice: { failure: "There are no example clips here; add a clip of your own." } });
    } else if (asked && !names.includes(asked)) {
      open({ example: names[0] }, `There is no example '${asked}' here, so this is the first one.`);
    } else {
      const numbers = WINDOW.map((key) => given.get(key) ?? "");
      const isWindow = asked && numbers.every((text) => /^\d{1,9}$/.test(text));
      open({ example: asked || names[0], ...(isWindow && { start: Number(numbers[0]), stride: Number(numbers[1]) }) });
    }
  }

  // Gradio rewrites the styles that it is given, and loses some on the way.
  document.head.append(Object.assign(document.createElement("style"), { textContent: VIEWER_STYLES }));
  setOpen(open);
  openFirst();
}
