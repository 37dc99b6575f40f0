/**
 * The note beside the pointer in frame t+1: what the sampling point under it is.
 */
import { readable } from "./colour_maps.js";
import { element } from "./elements.js";
import { movement } from "./reading.js";

/** A point this near to the pointer is meant, CSS pixels. */
const REACH = 16;

export function createTip() {
  const first = element("strong");
  const second = element("span");
  const third = element("span");
  const note = element("div", { class: "tip", hidden: true }, [first, second, third]);

  /**
   * @param {{points: import("./points.js").SamplingPoints} | null} shown
   * @param {ReturnType<typeof import("./pane.js").createPane>} pane @param {import("./view.js").View} view
   * @param {number} x from the pane's corner @param {number} y
   */
  function show(shown, pane, view, x, y) {
    const at = pane.projection(view);
    let nearest = -1;
    let distance = REACH;
    for (let i = 0; shown && i < shown.points.weights.length; i++) {
      const apart = Math.hypot(at.screenX(shown.points.x[i]) - x, at.screenY(shown.points.y[i]) - y);
      if (apart < distance) [nearest, distance] = [i, apart];
    }
    note.hidden = nearest < 0;
    if (nearest < 0) return;
    const { points } = shown;
    const weight = points.weights[nearest];
    const rank = points.weights.reduce((count, other) => count + (other > weight ? 1 : 0), 1);
    const moved = movement(points.x[nearest] - points.baseX[nearest], points.y[nearest] - points.baseY[nearest]);
    first.textContent = `Weight ${readable(weight)}`;
    second.textContent = `number ${rank} of ${points.weights.length}: how much this point counts`;
    third.textContent = moved === "not moved" ? "not moved by the network" : `moved ${moved} by the network`;
    const box = pane.screen.getBoundingClientRect();
    const around = note.offsetParent?.getBoundingClientRect() ?? box;
    const side = x > pane.size.width - 210 ? x - note.offsetWidth - 14 : x + 14;
    note.style.left = `${box.left - around.left + Math.max(0, side)}px`;
    note.style.top = `${box.top - around.top + Math.min(y + 14, pane.size.height - 64)}px`;
  }

  return { element: note, show, hide: () => (note.hidden = true) };
}
