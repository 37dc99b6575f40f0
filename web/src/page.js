/**
 * The standalone page: one viewer that has the page to itself. Its handle is the property `viewer` of its element.
 */
import { mount } from "./viewer/mount.js";

export { mount };

/** @param {Document} page with a payload in #payload and a place in #viewer */
export function startPage(page) {
  /** @type {any} */
  const root = page.getElementById("viewer");
  const payload = JSON.parse(page.getElementById("payload").textContent);
  page.title = `${payload.clip.name} – SIFA Explorer`;
  root.viewer = mount(root, payload, { keyTarget: page });
}
