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
import { notice, status } from "./tabs/line.js";
import { masthead } from "./tabs/masthead.js";
import { offsets } from "./tabs/offsets.js";
import { sources } from "./tabs/sources.js";
import { wholeVideo } from "./tabs/whole_video.js";

/** Whoever puts another engine here before the page starts has the page ask that one. */
const { sifaEngine } = /** @type {any} */ (globalThis);

/** @type {{viewer?: import("./viewer/mount.js").Handle, open?: (question: any) => void}} */
const shared = {};
fillParts(
  { charts, compare, costs, downloads, explorer, faithfulness, learn, masthead, notice, offsets, sources, status, wholeVideo },
  {
    store: createPageStore(sifaEngine ?? serverEngine()),
    viewer: () => shared.viewer,
    setViewer: (handle) => (shared.viewer = handle),
    open: (question) => shared.open?.(question),
    setOpen: (open) => (shared.open = open),
  },
);
