/**
 * What the page shows beside the viewer's own state, and the one way to ask an engine.
 *
 * A question belongs to a slot: the place on the page that shows its answer. A new question in a slot takes the place of
 * the one before it, and a new clip of all: what was asked before is given up, and its answer, should it still come, is
 * dropped by its number. While a question about a clip is on its way, the last one after it waits, so that whoever is
 * hasty asks twice and not a hundred times; only clips are opened at once.
 *
 * @typedef {{busy?: string, failure?: string}} Notice what is being done, or what went wrong
 * @typedef {object} PageState
 * @property {string} tab which tab is open
 * @property {string} token the clip that is shown; "" before the first
 * @property {string} example its name if it is one of the page's own, or ""
 * @property {{name: string, facts: string[], remark: string}} clip what is to be said of it
 * @property {{second: number, stride: number}} moment where its window starts, and one frame in how many it takes
 * @property {string} model key of the page's own model
 * @property {{index: number}[]} frames of the clip, as the page's own model takes them
 * @property {Notice} notice
 *
 * @typedef {object} Asking what becomes of a question, called only while it is its slot's last
 * @property {(answer: any) => void} shown
 * @property {(sentence: string) => void} [failed] beside the notice, which says the sentence anyway
 * @property {(progress: import("./engine/engine.js").Progress) => void} [tell]
 * @property {string} [busy] what the notice says meanwhile, until the answer's progress says more
 */

/** @param {import("./engine/engine.js").Engine} engine */
export function createPageStore(engine) {
  /** @type {PageState} */
  let state = { tab: "explore", token: "", example: "", clip: null, moment: null, model: "", frames: [], notice: {} };
  /** @type {Set<(state: PageState, before: PageState) => void>} */
  const listeners = new Set();
  /** @type {Map<string, {number: number, stop: AbortController, busy?: string}>} the last question of each slot */
  const last = new Map();
  /** @type {Map<string, Promise<any>>} what is on its way in each slot, about the clip that is shown */
  const onItsWay = new Map();
  let number = 0;

  /** @param {Partial<PageState>} patch */
  function set(patch) {
    const before = state;
    state = { ...state, ...patch };
    if (state.token !== before.token) {
      onItsWay.clear();
      for (const slot of [...last.keys()]) drop(slot);
    }
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
    if (busy) set({ notice: { busy } });
    if (name !== "open") await onItsWay.get(slot)?.catch(() => undefined);
    if (!isLast()) return;
    let notice = {};
    try {
      const asked = engine[name](question, {
        signal: mine.stop.signal,
        tell(progress) {
          if (!isLast()) return;
          if (mine.busy) set({ notice: { busy: (mine.busy = progress.step) } });
          tell?.(progress);
        },
      });
      onItsWay.set(slot, asked);
      const answer = await asked;
      if (!isLast()) return;
      shown(answer);
    } catch (error) {
      if (!isLast()) return;
      notice = { failure: error.message };
      failed?.(error.message);
    }
    last.delete(slot);
    if ("failure" in notice || (mine.busy && state.notice.busy === mine.busy)) set({ notice });
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
