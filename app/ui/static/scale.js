// A score as a mark on a line from 0 to 1: dot and whiskers for IIS, a tick for random directions. Numbers stand beside it.

import { svg } from "./dom.js";
import { missing } from "./words.js";

const WIDTH = 160;
const HEIGHT = 18;
const place = (value) => 6 + (WIDTH - 12) * Math.min(1.1, Math.max(0, value)) / 1.1;

export function scaleMark(report) {
  const mark = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "scale-mark", "aria-hidden": "true" });
  const line = (x1, y1, x2, y2, kind) => svg("line", { x1, y1, x2, y2, class: kind });
  mark.append(line(place(0), 9, place(1.1), 9, "scale-line"), line(place(0), 6, place(0), 12, "scale-line"), line(place(1), 6, place(1), 12, "scale-line"));
  if (!missing(report.iis_random_mean)) mark.append(line(place(report.iis_random_mean), 2, place(report.iis_random_mean), 16, "scale-random"));
  if (missing(report.iis)) return mark;
  if (!missing(report.iis_low)) {
    const [low, high] = [place(report.iis_low), place(report.iis_high)];
    mark.append(line(low, 9, high, 9, "scale-interval"), line(low, 5, low, 13, "scale-interval"), line(high, 5, high, 13, "scale-interval"));
  }
  mark.append(svg("circle", { cx: place(report.iis), cy: 9, r: 3.5, class: "scale-dot" }));
  return mark;
}
