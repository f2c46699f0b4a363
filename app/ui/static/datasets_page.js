// Page with the list of data sets.

import { describeContent } from "./dataset_formatting.js";
import { showList } from "./resource_list.js";

/** @import { Dataset } from "../types.d.ts" */

await showList({ noun: "data set", path: "/datasets", about: (/** @type {Dataset} */ dataset) => describeContent(dataset) });
