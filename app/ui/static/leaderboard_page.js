// Page of a leaderboard; the selected one is in the page's address.

import { get } from "./api.js";
import { announce, byId, el, emptyState, loadInto, table } from "./dom.js";
import { formatCount, formatGain, formatHalfWidth, formatNumber, formatPercent, isMissing } from "./formatting.js";
import { showTools } from "./page_tools.js";
import { quantityName, quantityTitle } from "./report_formatting.js";

/** @import { Board, BoardEntry, Column, Leaderboard } from "../types.d.ts" */

const PARAMETERS = ["board", "dataset", "library", "concept_count", "protocol", "edition"];

await show();

function show() {
  return loadInto(byId("board"), "Loading the scores …", async () => {
    const query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => PARAMETERS.includes(name)));
    /** @type {Leaderboard} */
    const leaderboard = await get(`/v1/leaderboard?${query}`);
    showTools(`/v1/leaderboard?${query}`);
    const { board, boards, data, notes } = leaderboard;
    byId("choice").replaceChildren(...(boards.length ? [boardSelect(leaderboard)] : []));
    if (!boards.length) return emptyState("No scores yet", "Models scored on the same data set with the same library are ranked here.");
    if (!board) return emptyState("Leaderboard not found", "No scores match this address; choose a leaderboard above.");
    history.replaceState(null, "", `?${boardQuery(board)}`);
    announce(`${formatCount(board.models, "model")} on this leaderboard.`);
    return [ranking(board, data), notes.map((note) => el("p", { class: "help" }, note))];
  });
}

/** @param {Board} board */
function boardQuery({ board }) {
  return new URLSearchParams({ board }).toString();
}

/** @param {Board} board */
function describeBoard(board) {
  const protocol = board.protocol === "reference" ? ", reference protocol" : "";
  const quantity = board.quantity === "mean_average_precision" ? `, ${quantityName(board)}` : "";
  const details = board.details ? `, ${board.details}` : "";
  return `${board.dataset_name}, ${board.library}, ${board.concept_count} concepts${protocol}${quantity}${details} (${formatCount(board.models, "model")})`;
}

/** @param {Leaderboard} leaderboard */
function boardSelect({ board: selected, boards }) {
  const options = boards.map((board) => el("option", { value: boardQuery(board), selected: board.board === selected?.board }, describeBoard(board)));
  const placeholder = selected ? [] : [el("option", { value: "", selected: true }, "choose")];
  const select = el("select", { id: "board-choice" }, placeholder, options);
  select.addEventListener("change", () => {
    history.pushState(null, "", `?${select.value}`);
    show();
  });
  return el("p", { class: "choices" }, el("label", { for: "board-choice" }, "Data set and library ", select));
}

/**
 * Gains over matched directions; scores of the first edition have isotropic ones alone.
 * @param {BoardEntry[]} entries
 * @returns {Column<BoardEntry>[]}
 */
function gainColumns(entries) {
  if (entries.every((entry) => isMissing(entry.gain_matched))) {
    return [["Gain in IIS over isotropic directions", (entry) => formatGain(entry.gain_isotropic, entry.gain_isotropic_low, entry.gain_isotropic_high), "number"]];
  }
  return [
    ["Few-concept gain over matched directions", (entry) => formatGain(entry.few_gain_matched, entry.few_gain_matched_low, entry.few_gain_matched_high), "number"],
    ["Gain in IIS over the same", (entry) => formatGain(entry.gain_matched, entry.gain_matched_low, entry.gain_matched_high), "number"],
  ];
}

/**
 * @param {Board} board
 * @param {BoardEntry[]} entries
 */
function ranking(board, entries) {
  /** @type {Column<BoardEntry>[]} */
  const columns = [
    ["Rank", ({ rank, tied }) => el("span", { class: "rank" }, isMissing(rank) ? "–" : `${rank}${tied ? " tied" : ""}`)],
    ["Model", ({ job, name }) => el("a", { href: `/jobs/${job}` }, name)],
    ["IIS", (entry) => (entry.near_chance ? "near chance" : `${formatNumber(entry.iis)} ${formatHalfWidth(entry.iis_low, entry.iis_high)}`), "number"],
    [quantityTitle(board), (entry) => formatPercent(entry.accuracy), "number"],
    [`${quantityTitle(board)} at 5\u00a0to\u00a030 concepts`, (entry) => formatPercent(entry.few_concepts_mean), "number"],
    ...gainColumns(entries),
    ["Jobs", (entry) => entry.jobs, "number"],
  ];
  return table(`Leaderboard of ${describeBoard(board)}`, columns, entries);
}

addEventListener("popstate", show);
