/**
 * Small helpers for making elements. Text is always set as text, so names and labels cannot become markup.
 */

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] "class", "text", "on" ({event: listener}), "data"; aria-*, role and the like
 *   as attributes; everything else as properties
 * @param {(Node | null | undefined)[]} [children]
 * @returns {any}
 */
export function element(tag, properties = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "role" || name === "for" || name.startsWith("aria-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child));
  return node;
}

/**
 * A line icon of 16 x 16.
 * @param {string} path SVG path data
 */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const shape = document.createElementNS(space, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

export const ICONS = {
  play: "M5 3.2v9.6l7.6-4.8z",
  pause: "M4.6 3.4v9.2M11.4 3.4v9.2",
  previous: "M10 3.5 5.5 8l4.5 4.5",
  next: "M6 3.5 10.5 8 6 12.5",
  closer: "M8 3.5v9M3.5 8h9",
  wider: "M3.5 8h9",
  whole: "M3.5 6V3.5H6M10 3.5h2.5V6M12.5 10v2.5H10M6 12.5H3.5V10",
  upload: "M8 9.9V2.5M4.8 5.7 8 2.5l3.2 3.2M3 13h10",
  download: "M8 2.5v7.4M4.8 6.9 8 10l3.2-3.1M3 13h10",
};

/** A titled group of the control area. @param {string} title @param {Node[]} children @param {string} name */
export function group(title, children, name) {
  const heading = element("h2", { text: title });
  return element("section", { class: `group ${name}`, "aria-label": title }, [heading, ...children]);
}

/** Let the browser save a blob as a file. @param {Blob} blob @param {string} name */
export function saveAs(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
