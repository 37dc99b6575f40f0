/**
 * Which part of the picture a pane shows: zoom, pan, and the way between pixels of the clip and points on the screen.
 *
 * @typedef {{zoom: number, left: number, top: number}} View left, top: the clip's coordinates at the pane's corner,
 *   measured from the picture's edge (half a pixel before the first pixel's centre)
 * @typedef {{width: number, height: number}} Size
 */

export const MOST_ZOOM = 10;

/** @type {View} */
export const WHOLE = Object.freeze({ zoom: 1, left: 0, top: 0 });

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The nearest view that shows nothing beyond the picture. @param {View} view @param {Size} clip @returns {View} */
export function withinPicture(view, clip) {
  const zoom = clamp(Number.isFinite(view.zoom) ? view.zoom : 1, 1, MOST_ZOOM);
  const room = 1 - 1 / zoom;
  return {
    zoom,
    left: clamp(view.left || 0, 0, clip.width * room),
    top: clamp(view.top || 0, 0, clip.height * room),
  };
}

/** Zoom so that the clip's point (x, y) stays where it is. @param {View} view @param {Size} clip @returns {View} */
export function zoomAt(view, factor, x, y, clip) {
  const zoom = clamp(view.zoom * factor, 1, MOST_ZOOM);
  const ratio = view.zoom / zoom;
  const left = x + 0.5 - (x + 0.5 - view.left) * ratio;
  const top = y + 0.5 - (y + 0.5 - view.top) * ratio;
  return withinPicture({ zoom, left, top }, clip);
}

/**
 * Both directions between pixels of the clip and points on a pane of `size`.
 * @param {View} view @param {Size} clip @param {Size} size
 */
export function projection(view, clip, size) {
  const scaleX = (size.width / clip.width) * view.zoom;
  const scaleY = (size.height / clip.height) * view.zoom;
  return {
    scaleX,
    scaleY,
    screenX: (x) => (x + 0.5 - view.left) * scaleX,
    screenY: (y) => (y + 0.5 - view.top) * scaleY,
    clipX: (x) => x / scaleX + view.left - 0.5,
    clipY: (y) => y / scaleY + view.top - 0.5,
  };
}
