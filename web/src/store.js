/**
 * What the page shows beside the viewer's own state, and the one way to ask an engine.
 *
 * A question belongs to a slot: the place on the page that shows its answer. A new question in a slot takes the place of
 * the one before it, and a new clip of all: what was asked before is given up, and its answer, should it still come, is
 * dropped by its number.
 *
 * @typedef {{busy?: string, failure?: string, own?: boolean}} Notice `own` is not the server's word, but this page's
 * @typedef {object} PageState
 * @property {string} tab which tab is open
 * @property {string} token the clip that is shown; "" before the first
 * @property {string} model key of the page's own model
 * @property {{index: number}[]} frames of the clip, as the page's own model takes them
 * @property {Notice} notice
 *
 * @typedef {object} Asking what becomes of a question, called only while it is its slot's last
 * @property {(answer: any) => void} shown
 * @property {(sentence: string) => void} [failed] beside the notice, which says the sentence anyway
 * @property {(progress: import("./engine/engine.js").Progress) => void} [tell]
 * @property {string} [busy] what the notice says meanwhile
 */

/** @param {import("./engine/engine.js").Engine} engine */
export function createPageStore(engine) {
  /** @type {PageState} */
  let state = { tab: "explore", token: "", model: "", frames: [], notice: {} };
  /** @type {Set<(state: PageState, before: PageState) => void>} */
  const listeners = new Set();
  /** @type {Map<string, {number: number, stop: AbortController, busy?: string}>} the last question of each slot */
  const last = new Map();
  let number = 0;

  /** @param {Partial<PageState>} patch */
  function set(patch) {
    const before = state;
    state = { ...state, ...patch };
    if (state.token !== before.token) for (const slot of [...last.keys()]) drop(slot);
    for (const listener of listeners) listener(state, before);
  }

  /** Whatever has been asked in the slot is wanted no more. @param {string} slot */
  function drop(slot) {
    const dropped = last.get(slot);
    last.delete(slot);
    dropped?.stop.abort();
    if (dropped?.busy && dropped.busy === state.notice.busy) set({ notice: {} });
  }

  /**
   * @param {string} slot @param {keyof import("./engine/engine.js").Engine} name @param {Record<string, any>} question
   * @param {Asking} asking
   */
  async function ask(slot, name, question, { shown, failed, tell, busy }) {
    drop(slot);
    number += 1;
    const mine = { number, stop: new AbortController(), busy };
    last.set(slot, mine);
    const isLast = () => last.get(slot)?.number === mine.number;
    if (busy) set({ notice: { busy, own: true } });
    let notice = {};
    try {
      const answer = await engine[name](question, {
        signal: mine.stop.signal,
        tell: (progress) => isLast() && tell?.(progress),
      });
      if (!isLast()) return;
      shown(answer);
    } catch (error) {
      if (!isLast()) return;
      notice = { failure: error.message, own: true };
      failed?.(error.message);
    }
    last.delete(slot);
    if ("failure" in notice || (busy && state.notice.busy === busy)) set({ notice });
  }

  return {
    get: () => state,
    set,
    /** @param {(state: PageState, before: PageState) => void} listener @returns {() => void} how to stop */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ask,
    drop,
    engine,
  };
}

/** @typedef {ReturnType<typeof createPageStore>} PageStore */

/**
 * Call `fill` whenever a tab is opened with a clip, or another clip comes while it is open.
 * @param {PageStore} store @param {string} tab @param {(token: string) => void} fill
 */
export function whenOpen(store, tab, fill) {
  const isDue = ({ tab: open, token }) => open === tab && token !== "";
  store.subscribe((state, before) => {
    if (isDue(state) && (state.token !== before.token || before.tab !== tab)) fill(state.token);
  });
  if (isDue(store.get())) fill(store.get().token);
}
