/**
 * What a part of the page is given by the component that it fills, and how it finds its program.
 *
 * @typedef {object} Host
 * @property {HTMLElement} element the component's element
 * @property {{value: any}} props `value` is what the server says first
 *
 * @typedef {object} Page what all parts share
 * @property {import("./store.js").PageStore} store
 * @property {() => import("./viewer/mount.js").Handle | undefined} viewer that of Explore, once there is one
 * @property {(handle: import("./viewer/mount.js").Handle) => void} setViewer
 * @property {(question: Record<string, any>) => void} open another clip, see `Engine`
 * @property {(open: (question: any) => void) => void} setOpen
 */

/** Where parts wait by name until the program is there: [name, host]. */
const WAITING = "sifaParts";

/**
 * Fill every part that is on the page already, and those that come later as they come.
 * @param {Record<string, (host: Host, page: Page) => void>} parts @param {Page} page
 */
export function fillParts(parts, page) {
  const everything = /** @type {any} */ (globalThis);
  const waiting = everything[WAITING] ?? [];
  everything[WAITING] = { push: ([name, host]) => parts[name](host, page) };
  for (const entry of waiting) everything[WAITING].push(entry);
}

/** The element of a host that its part fills. @param {Host} host @returns {HTMLElement} */
export const rootOf = ({ element }) => element.querySelector(".part");
