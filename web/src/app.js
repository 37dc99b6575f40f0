/**
 * The served page: which part of the front end fills which component, and what they share.
 */
import { serverEngine } from "./engine/server.js";
import { fillParts } from "./host.js";
import { createPageStore } from "./store.js";
import { charts } from "./tabs/charts.js";
import { compare } from "./tabs/compare.js";
import { costs } from "./tabs/costs.js";
import { downloads } from "./tabs/downloads.js";
import { explorer } from "./tabs/explorer.js";
import { faithfulness } from "./tabs/faithfulness.js";
import { learn } from "./tabs/learn.js";
import { masthead } from "./tabs/masthead.js";
import { notice } from "./tabs/notice.js";
import { offsets } from "./tabs/offsets.js";

let shown;
fillParts(
  { charts, compare, costs, downloads, explorer, faithfulness, learn, masthead, notice, offsets },
  { store: createPageStore(serverEngine()), viewer: () => shown, setViewer: (handle) => (shown = handle) },
);
