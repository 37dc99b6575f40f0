/**
 * The row of tabs in the page's first line, in place of Gradio's own, which would cost a line of its own.
 *
 * Gradio's buttons stay on the page unseen: choosing a tab here presses the one of the same id there, and whatever else
 * changes the tab is followed. The address keeps the tab (`?tab=offsets`), so that a link brings it back.
 */
import { rootOf } from "../host.js";
import { element } from "../viewer/elements.js";

const SELECTED = "aria-selected";
/** Milliseconds for which Gradio's own tabs are waited for. */
const PATIENCE = 10000;

/**
 * The component's value is {tabs: [[id, title], ...], model: name, status: class of the badge, badge: words, meaning}.
 * @param {import("../host.js").Host} host @param {import("../host.js").Page} page
 */
export function masthead(host, { store }) {
  const { tabs: entries, model, status, badge, meaning } = host.props.value;
  const tabs = entries.map(([id, title]) => tabOf(id, title));
  const bar = element("nav", { class: "tab-bar", role: "tablist", "aria-label": "Views of the clip" }, tabs);
  rootOf(host).replaceChildren(
    element("header", { class: "masthead" }, [
      element("h1", { text: "SIFA Explorer" }),
      element("p", { class: "claim", text: "See where a video network looks in the next frame." }),
      bar,
      element("p", { class: "model" }, [
        element("code", { text: model }),
        document.createTextNode(" "),
        element("span", { class: `badge badge-${status}`, title: meaning, text: badge }),
      ]),
    ]),
  );
  follow(bar, tabs, store);
}

function tabOf(id, title) {
  const properties = { role: "tab", "aria-controls": `tab-${id}`, [SELECTED]: "false" };
  return element("button", { type: "button", id: `to-${id}`, tabIndex: -1, data: { tab: id }, text: title, ...properties });
}

/** @param {HTMLElement} bar @param {HTMLElement[]} tabs @param {import("../store.js").PageStore} store */
function follow(bar, tabs, store) {
  /** @returns {HTMLElement | null} Gradio's button */
  const hidden = (id) => document.querySelector(`#tabs > .tab-wrapper [data-tab-id="${id}"]`);
  const isChosen = (tab) => hidden(tab.dataset.tab)?.getAttribute(SELECTED) === "true";

  function mark() {
    const chosen = tabs.find(isChosen) ?? tabs[0];
    for (const tab of tabs) {
      tab.setAttribute(SELECTED, String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(`tab-${tab.dataset.tab}`)?.setAttribute("aria-labelledby", tab.id);
    }
    chosen.scrollIntoView({ block: "nearest", inline: "nearest" });
    const address = new URL(location.href);
    if (chosen === tabs[0]) address.searchParams.delete("tab");
    else address.searchParams.set("tab", chosen.dataset.tab);
    if (address.href !== location.href) history.replaceState(history.state, "", address);
    if (store.get().tab !== chosen.dataset.tab) store.set({ tab: chosen.dataset.tab });
  }

  bar.addEventListener("click", ({ target }) => {
    const tab = /** @type {HTMLElement} */ (target).closest("[role=tab]");
    if (tab) hidden(/** @type {HTMLElement} */ (tab).dataset.tab)?.click();
  });
  bar.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });

  // Gradio takes a moment to build its tabs, and a little longer until they can be pressed.
  const wanted = new URLSearchParams(location.search).get("tab");
  const first = tabs.find(({ dataset }) => dataset.tab === wanted) ?? tabs[0];
  const until = performance.now() + PATIENCE;
  const timer = setInterval(() => {
    const row = document.querySelector("#tabs > .tab-wrapper");
    const goal = row && hidden(first.dataset.tab);
    if (goal && !isChosen(first)) goal.click();
    else if (goal || performance.now() > until) {
      clearInterval(timer);
      if (!row) return;
      new MutationObserver(mark).observe(row, { subtree: true, attributes: true, attributeFilter: [SELECTED] });
      mark();
    }
  }, 50);
}
