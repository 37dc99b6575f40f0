/**
 * The viewer on the page: shows the analyses that the server sends, and keeps what is shown of an example clip in the
 * page's address, so that a link brings it back. The server is asked for nothing but the layers that it held back and for
 * pictures of class evidence that are not there.
 *
 * Runs in the component's `js_on_load`, after the viewer's own script and styles: `sifaViewer` and `STYLES` are theirs,
 * `element`, `props`, `server` and `watch` are Gradio's. The value is {example: name or "", window: {start, stride} or null
 * for the one chosen for the clip, token: key of the analysis, model: key of the page's model, analysis: payload}, or {} when there is nothing new. The viewer's handle is the property
 * `viewer` of its element, as in the exported page.
 */
const CHOICE = ["t", "x", "y", "layer", "levels"];
const WINDOW = ["start", "stride"];
/** The class evidence that is shown, where it is not that of the start. */
const EVIDENCE = ["target", "against", "method", "stage"];
/** A browser lets the address be changed about three times a second; milliseconds. */
const PAUSE = 350;

const root = element.querySelector(".sifa-viewer");
let example = "";
let token = "";
/** Start and stride of the window that is shown, if it is not the one that was chosen for the clip. */
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

async function answered(answer) {
  const found = await answer;
  if (found.error) throw new Error(found.error);
  return found;
}

/** For `mountViewer`: the arrays of a layer of this visitor's clip as a model sees it. */
const fetchLayer = (model, layer) => answered(server.layer_arrays({ token, model, layer }));

/** A picture of class evidence of this visitor's clip. */
const fetchEvidence = (evidence) => answered(server.class_evidence({ token, evidence }));

function show() {
  const { analysis, example: name } = props.value ?? {};
  if (!analysis) return;
  example = name;
  token = props.value.token;
  place = props.value.window;
  root.frames = analysis.frames;
  if (root.viewer) {
    root.viewer.update(analysis);
  } else {
    root.viewer = sifaViewer.mount(root, analysis, {
      state: fromAddress(name),
      fetchLayer: (layer) => fetchLayer(props.value.model, layer),
      fetchEvidence,
    });
    root.viewer.on("change", remember);
  }
  start = { evidence: root.viewer.firstEvidence };
  toAddress();
}

// for the tabs that show viewers of their own
root.mountViewer = sifaViewer.mount;
root.fetchLayer = fetchLayer;
// Gradio rewrites the styles that it is given, and loses some on the way.
document.head.append(Object.assign(document.createElement("style"), { textContent: STYLES }));
watch("value", show);
show();
