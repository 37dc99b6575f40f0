/**
 * The served page: which part of the front end fills which component.
 */
import { fillParts } from "./host.js";
import { compare } from "./tabs/compare.js";
import { explorer } from "./tabs/explorer.js";
import { learn } from "./tabs/learn.js";
import { offsetsMatrix } from "./tabs/offsets_matrix.js";

fillParts({ compare, explorer, learn, offsetsMatrix });
