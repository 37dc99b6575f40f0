/**
 * The viewer on the page: shows the analyses that the server sends, and keeps what is shown of an example clip in the
 * page's address, so that a link brings it back. The server is asked for nothing but the layers that it held back.
 *
 * Runs in the component's `js_on_load`, after the viewer's own script and styles: `sifaViewer` and `STYLES` are theirs,
 * `element`, `props`, `server` and `watch` are Gradio's. The value is {example: name or "", token: key of the analysis,
 * model: key of the page's model, analysis: payload}, or {} when there is nothing new. The viewer's handle is the property
 * `viewer` of its element, as in the exported page.
 */
const CHOICE = ["t", "x", "y", "layer", "levels"];
/** A browser lets the address be changed about three times a second; milliseconds. */
const PAUSE = 350;

const root = element.querySelector(".sifa-viewer");
let example = "";
let token = "";
let timer;

/** What the address says of an example; the viewer puts right whatever is impossible. */
function fromAddress(name) {
  const given = new URLSearchParams(location.search);
  if (!name || given.get("example") !== name) return {};
  const entries = CHOICE.filter((key) => given.get(key)).map((key) => [key, given.get(key)]);
  return Object.fromEntries(entries.map(([key, text]) => [key, key === "layer" ? text : Number(text)]));
}

/** An uploaded clip is nobody else's business: its state stays out of the address. */
function toAddress() {
  const address = new URL(location.href);
  for (const key of ["example", ...CHOICE]) address.searchParams.delete(key);
  if (example) {
    const state = root.viewer.getState();
    address.searchParams.set("example", example);
    for (const key of CHOICE) {
      const value = state[key];
      address.searchParams.set(key, typeof value === "number" ? String(Math.round(10 * value) / 10) : value);
    }
  }
  history.replaceState(history.state, "", address);
}

function remember() {
  timer ??= setTimeout(() => {
    timer = undefined;
    toAddress();
  }, PAUSE);
}

/** For `mountViewer`: the arrays of a layer of this visitor's clip as a model sees it. */
async function fetchLayer(model, layer) {
  const arrays = await server.layer_arrays({ token, model, layer });
  if (arrays.error) throw new Error(arrays.error);
  return arrays;
}

function show() {
  const { analysis, example: name } = props.value ?? {};
  if (!analysis) return;
  example = name;
  token = props.value.token;
  root.frames = analysis.frames;
  if (root.viewer) {
    root.viewer.update(analysis);
  } else {
    root.viewer = sifaViewer.mount(root, analysis, {
      state: fromAddress(name),
      fetchLayer: (layer) => fetchLayer(props.value.model, layer),
    });
    root.viewer.on("change", remember);
  }
  toAddress();
}

// for the tabs that show viewers of their own
root.mountViewer = sifaViewer.mount;
root.fetchLayer = fetchLayer;
// Gradio rewrites the styles that it is given, and loses some on the way.
document.head.append(Object.assign(document.createElement("style"), { textContent: STYLES }));
watch("value", show);
show();
