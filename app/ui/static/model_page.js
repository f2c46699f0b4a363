// Page of a model: architecture, preprocessing, lineage, notes, download, its scores.

import { rowsOf } from "./configuration_formatting.js";
import { downloadItem, downloadList, el, section, table } from "./dom.js";
import { notesNotice } from "./notes.js";
import { showResource } from "./resource_page.js";

/** @import { Column, Model } from "../types.d.ts" */

/** @param {Model} model */
function sections(model) {
  const { architecture, arguments: given, role, pretrained, initial_seed, layer, pooling, digest, info, lineage } = model;
  const { notes, ...found } = info ?? {};
  const settings = rowsOf("", { id: model.id, role, architecture, arguments: given, pretrained, initial_seed, layer, pooling, digest, ...found });
  /** @type {Column<[string, string]>[]} */
  const columns = [["Setting", ([name]) => name], ["Value", ([, value]) => el("span", { class: "setting-value" }, value)]];
  const origin = lineage
    ? el(
        "p",
        {},
        "Fine-tuned from ",
        el("a", { href: `/models/${lineage.parent}` }, lineage.parent),
        " by ",
        el("a", { href: `/jobs/${lineage.job}` }, lineage.job),
        `, seed ${lineage.seed}, epoch ${lineage.epoch}, λ = ${lineage.weight}.`,
      )
    : null;
  return [
    notesNotice(notes),
    section(
      "architecture",
      "Architecture and preprocessing",
      origin,
      el("p", { class: "actions" }, el("a", { class: "button primary", href: `/submit?model=${model.id}` }, "Score this model")),
      table("Settings of the model", columns, settings),
      model.links.checkpoint ? downloadList(downloadItem(model.links.checkpoint, "Weights")) : null,
    ),
  ];
}

await showResource({ noun: "model", path: "/models", parameter: "model", sections });
