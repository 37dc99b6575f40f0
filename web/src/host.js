/**
 * What a part of the page is given by the component that it fills, and how it finds its program.
 *
 * @typedef {object} Host
 * @property {HTMLElement} element the component's element
 * @property {{value: any}} props `value` is what the server has sent last
 * @property {(name: "value", changed: () => void) => void} watch
 * @property {(event: string, data?: any) => void} trigger tell the server's listeners
 * @property {Record<string, (question: any) => Promise<any>>} server functions of the component
 */

/** Where parts wait by name until the program is there: [name, host]. */
const WAITING = "sifaParts";

/**
 * Fill every part that is on the page already, and those that come later as they come.
 * @param {Record<string, (host: Host) => void>} parts
 */
export function fillParts(parts) {
  const page = /** @type {any} */ (globalThis);
  const waiting = page[WAITING] ?? [];
  page[WAITING] = { push: ([name, host]) => parts[name](host) };
  for (const entry of waiting) page[WAITING].push(entry);
}
