// Page with the list of models.

import { formatInteger, isMissing } from "./formatting.js";
import { showList } from "./resource_list.js";

/** @import { Model } from "../types.d.ts" */

/** @param {Model} model */
function about({ architecture, role, info }) {
  const parameters = isMissing(info?.parameter_count) ? "" : ` · ${formatInteger(info.parameter_count)} parameters`;
  return `${architecture}${role === "vlm" ? " · vision-language model" : ""}${parameters}`;
}

await showList({ noun: "model", path: "/models", about });
