/**
 * The viewer in a notebook: what anywidget calls for every place that shows the widget. `sifaViewer` is the viewer's own
 * script, which stands before this one (see widget.py).
 *
 * The traits `query` [t, x, y], `layer` and `frame` follow the viewer, and the viewer follows them.
 */
const sameQuery = (one, other) => one.every((value, place) => Math.abs(value - other[place]) < 1e-6);

function render({ model, el }) {
  const root = document.createElement("div");
  el.replaceChildren(root);
  const [t, x, y] = model.get("query");
  const viewer = sifaViewer.mount(root, model.get("payload"), { state: { t, x, y, layer: model.get("layer") } });
  root.viewer = viewer;

  const stopTelling = viewer.on("change", (state) => {
    const query = [state.t, state.x, state.y];
    const changes = {};
    if (!sameQuery(query, model.get("query"))) changes.query = query;
    if (state.layer !== model.get("layer")) changes.layer = state.layer;
    if (state.t !== model.get("frame")) changes.frame = state.t;
    if (Object.keys(changes).length === 0) return;
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  });

  /** Ask at a place of a frame; the pin that the query sits on goes along. */
  function ask(to) {
    const { pins, active, ...state } = viewer.getState();
    if (sameQuery(to, [state.t, state.x, state.y])) return;
    const [frame, column, row] = to;
    const moved = pins.map((pin, place) => (place === active ? { x: column, y: row } : pin));
    viewer.setState({ t: frame, x: column, y: row, pins: moved });
  }
  const followers = {
    query: () => ask(model.get("query")),
    // with the model's own place, for another view of it may have set frame and place in one go
    frame: () => ask([model.get("frame"), ...model.get("query").slice(1)]),
    layer: () => {
      if (model.get("layer") !== viewer.getState().layer) viewer.setState({ layer: model.get("layer") });
    },
  };
  for (const [name, follow] of Object.entries(followers)) model.on(`change:${name}`, follow);

  return () => {
    for (const [name, follow] of Object.entries(followers)) model.off(`change:${name}`, follow);
    stopTelling();
    viewer.destroy();
  };
}

export default { render };
