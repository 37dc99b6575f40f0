/**
 * One pane: a picture, heat maps over it, and a canvas of marks on top that can be redrawn without touching the rest.
 */
import { element } from "./elements.js";
import { projection } from "./view.js";

/** Screens with more dots than this per CSS pixel gain nothing visible from a larger canvas. */
const MOST_DOTS = 2;

/**
 * @param {object} options
 * @param {string} options.name class name @param {string} options.label for screen readers
 * @param {{width: number, height: number}} options.clip
 * @param {boolean} [options.isInteractive] whether it takes the keyboard's focus
 * @param {() => void} options.onResize
 */
export function createPane({ name, label, clip, isInteractive, onResize }) {
  const picture = element("canvas", { class: "picture" });
  const marks = element("canvas", { class: "marks" });
  const screen = element(
    "div",
    {
      class: `screen ${name}`,
      role: isInteractive ? "application" : "img",
      "aria-label": label,
      tabIndex: isInteractive ? 0 : undefined,
    },
    [picture, marks],
  );
  const title = element("span", { class: "what" });
  const detail = element("span", { class: "detail" });
  const advice = element("span", { class: "detail advice" });
  const caption = element("figcaption", {}, [title, detail, advice]);
  const figure = element("figure", { class: "pane" }, [caption, screen]);
  const size = { width: 0, height: 0 };
  let dots = 1;

  function measure() {
    const { clientWidth: width, clientHeight: height } = screen;
    const now = Math.min(globalThis.devicePixelRatio || 1, MOST_DOTS);
    if (width === size.width && height === size.height && now === dots) return;
    Object.assign(size, { width, height });
    dots = now;
    for (const canvas of [picture, marks]) {
      canvas.width = Math.max(1, Math.round(width * dots));
      canvas.height = Math.max(1, Math.round(height * dots));
    }
    onResize();
  }
  const observer = new ResizeObserver(measure);
  observer.observe(screen);

  /** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} cleared, in CSS pixels */
  function cleared(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(dots, 0, 0, dots, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    return context;
  }

  return {
    element: figure,
    screen,
    size,
    measure,
    /** @param {import("./view.js").View} view */
    projection: (view) => projection(view, clip, size),
    /** @param {string} what @param {string} time @param {string} help what can be done or seen here */
    setCaption(what, time, help) {
      title.textContent = what;
      detail.textContent = time;
      advice.textContent = `· ${help}`;
    },
    /**
     * @param {HTMLImageElement} image @param {{canvas: HTMLCanvasElement, alpha: number}[]} heats
     * @param {import("./view.js").View} view
     */
    drawPicture(image, heats, view) {
      const context = cleared(picture);
      context.imageSmoothingQuality = "high";
      for (const { canvas, alpha } of [{ canvas: image, alpha: 1 }, ...heats]) {
        const isImage = "naturalWidth" in canvas;
        const sourceWidth = isImage ? canvas.naturalWidth : canvas.width;
        const sourceHeight = isImage ? canvas.naturalHeight : canvas.height;
        if (!sourceWidth) continue; // not loaded yet
        const x = sourceWidth / clip.width;
        const y = sourceHeight / clip.height;
        context.globalAlpha = alpha;
        const width = sourceWidth / view.zoom;
        const height = sourceHeight / view.zoom;
        context.drawImage(canvas, view.left * x, view.top * y, width, height, 0, 0, size.width, size.height);
      }
      context.globalAlpha = 1;
    },
    clearMarks: () => cleared(marks),
    destroy: () => observer.disconnect(),
  };
}
