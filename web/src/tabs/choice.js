/** What the viewer of Explore shows, as questions to an engine put it. */

/** Query and layer. @param {import("../viewer/state.js").State} state */
export function queryOf({ t, x, y, layer, levels }) {
  return { frame: t, x, y, layer, levels };
}

/** The picture of class evidence. @param {import("../viewer/state.js").State} state */
export function evidenceOf({ evidence: { target, against, method, stage } }) {
  return { target, against, method, stage };
}
