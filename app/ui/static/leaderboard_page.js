// A leaderboard: which one is chosen stands in the page's address, so that it can be sent to somebody of the same owner.

import { get } from "./api.js";
import { byId, el, empty, fill, say, table } from "./dom.js";
import { counted, halfWidth, interval, missing, number, share, signed } from "./words.js";

const FIELDS = ["board", "dataset", "library", "concept_count", "protocol"];

await show();

function show() {
  return fill(byId("board"), "Reading the scores …", async () => {
    const asked = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => FIELDS.includes(name)));
    const found = await get(`/v1/leaderboard?${asked}`);
    byId("choice").replaceChildren(...(found.boards.length ? [choice(found)] : []));
    if (!found.boards.length) return empty("Nothing to rank yet", "Models that were scored on the same data set through the same library stand here, best first.");
    if (!found.board) return empty("No such leaderboard", "Nothing of yours was scored so; choose one above.");
    history.replaceState(null, "", `?${addressOf(found.board)}`);
    say(`${counted(found.board.models, "model")} on this leaderboard.`);
    return [ranks(found), found.notes.map((note) => el("p", { class: "help" }, note))].flat();
  });
}

function addressOf(board) {
  return new URLSearchParams({ board: board.board }).toString();
}

function boardWords(board) {
  const protocol = board.protocol === "reference" ? ", reference protocol" : "";
  const details = board.details ? `, ${board.details}` : "";
  return `${board.dataset_name}, ${board.library}, ${board.concept_count} concepts${protocol}${details} (${counted(board.models, "model")})`;
}

function choice({ board, boards }) {
  const options = boards.map((one) => el("option", { value: addressOf(one), selected: board !== null && addressOf(one) === addressOf(board) }, boardWords(one)));
  const nothing = board ? [] : [el("option", { value: "", selected: true }, "choose")];
  const select = el("select", { id: "board-choice" }, nothing, options);
  select.addEventListener("change", () => {
    history.pushState(null, "", `?${select.value}`);
    show();
  });
  return el("p", { class: "choices" }, el("label", { for: "board-choice" }, "Scored on and through ", select));
}

function ranks({ board, data }) {
  return table(
    `Leaderboard of ${boardWords(board)}`,
    [
      ["Rank", (row) => el("span", { class: "rank" }, missing(row.rank) ? "–" : `${row.rank}${row.tied ? " tied" : ""}`)],
      ["Model", (row) => el("a", { href: `/jobs/${row.job}` }, row.name)],
      ["IIS", (row) => (row.near_chance ? "near chance" : `${number(row.iis)} ${halfWidth(row.iis_low, row.iis_high)}`), "number"],
      ["Accuracy", (row) => share(row.accuracy), "number"],
      ["Gain over\u00a0random", (row) => signed(row.concept_gain), "number"],
      ["Its interval", (row) => interval(row.concept_gain_low, row.concept_gain_high), "number"],
      ["Jobs", (row) => row.jobs, "number"],
    ],
    data,
  );
}

addEventListener("popstate", show);
