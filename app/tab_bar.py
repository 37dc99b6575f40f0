"""The row of tabs in the page's first line, in place of Gradio's own, which would cost a line of its own.

Gradio's buttons stay on the page unseen: choosing a tab here presses the one of the same id there, and whatever else
changes the tab is followed. The address keeps the tab (`?tab=offsets`), so that a link brings it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

FIRST = "explore"
"""The tab that the page opens with, and that the address therefore need not name."""

TAB_BAR_JS = """
const bar = element.querySelector('[role="tablist"]');
const tabs = [...bar.querySelectorAll('[role="tab"]')];
const hidden = (id) => document.querySelector(`#tabs > .tab-wrapper [data-tab-id="${id}"]`);

function mark() {
  const chosen = tabs.find(({dataset}) => hidden(dataset.tab)?.getAttribute('aria-selected') === 'true') ?? tabs[0];
  for (const tab of tabs) {
    tab.setAttribute('aria-selected', tab === chosen);
    tab.tabIndex = tab === chosen ? 0 : -1;
    const panel = document.getElementById(`tab-${tab.dataset.tab}`);
    panel?.setAttribute('aria-labelledby', tab.id);
  }
  chosen.scrollIntoView({block: 'nearest', inline: 'nearest'});
  const address = new URL(location.href);
  if (chosen === tabs[0]) address.searchParams.delete('tab');
  else address.searchParams.set('tab', chosen.dataset.tab);
  if (address.href !== location.href) history.replaceState(history.state, '', address);
}

bar.addEventListener('click', (event) => {
  const tab = event.target.closest('[role="tab"]');
  if (tab) hidden(tab.dataset.tab)?.click();
});
bar.addEventListener('keydown', (event) => {
  const at = tabs.indexOf(event.target);
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const next = tabs[(to + tabs.length) % tabs.length];
  next.focus();
  next.click();
});

// Gradio takes a moment to build its tabs, and a little longer until they can be pressed.
const wanted = new URLSearchParams(location.search).get('tab');
const isReal = tabs.some(({dataset}) => dataset.tab === wanted);
const until = performance.now() + 10000;
const timer = setInterval(() => {
  const row = document.querySelector('#tabs > .tab-wrapper');
  const goal = row && hidden(isReal ? wanted : tabs[0].dataset.tab);
  if (goal && goal.getAttribute('aria-selected') !== 'true') goal.click();
  else if (goal || performance.now() > until) {
    clearInterval(timer);
    if (!row) return;
    new MutationObserver(mark).observe(row, {subtree: true, attributes: true, attributeFilter: ['aria-selected']});
    mark();
  }
}, 50);
"""
"""Runs once in the component that holds the bar; Gradio builds the tabs themselves a little later."""


def tab_bar(entries: Sequence[tuple[str, str]]) -> str:
    """The bar's HTML for (id, title) of every tab; the panel of a tab has the element id "tab-" + id."""
    tabs = "".join(
        f'<button type="button" role="tab" id="to-{escape(id)}" data-tab="{escape(id)}" '
        f'aria-controls="tab-{escape(id)}" aria-selected="{str(id == FIRST).lower()}" '
        f'tabindex="{0 if id == FIRST else -1}">{escape(title)}</button>'
        for id, title in entries
    )
    return f'<nav class="tab-bar" role="tablist" aria-label="Views of the clip">{tabs}</nav>'
