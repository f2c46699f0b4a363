// Plots with plotly.js in the page's colours and font; redrawn when the colour scheme changes.

import { PageError } from "./errors.js";
import { escapeLabel } from "./escaping.js";

/** @import { LineStyle } from "../types.d.ts" */

/**
 * @typedef {object} Plot
 * @property {object[]} traces
 * @property {Record<string, unknown> & {xaxis?: Record<string, unknown>, yaxis?: Record<string, unknown>}} layout
 */

/**
 * @template Point
 * @typedef {object} PointAccessors
 * @property {(point: Point) => number} x
 * @property {(point: Point) => number | null} y
 * @property {(point: Point) => number | null} [low]
 * @property {(point: Point) => number | null} [high]
 * @property {(point: Point) => string} tooltip
 */

const CONFIG = { displayModeBar: false, responsive: true, showTips: false };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "star"];
const NARROW_PIXELS = 520;

/** @type {Map<HTMLElement, () => Promise<void>>} */
const redraws = new Map();
let watchingColourScheme = false;

/** @returns {Promise<PlotlyStatic>} */
function loadPlotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  return new Promise((resolve, reject) => {
    const fail = () => reject(new PageError("The plotting library could not be loaded. The tables show the same data."));
    const script = document.querySelector("script[src*='plotly']");
    if (!script) return fail();
    script.addEventListener("load", () => (window.Plotly ? resolve(window.Plotly) : fail()));
    script.addEventListener("error", fail);
  });
}

/**
 * A colour of the stylesheet.
 * @param {string} name
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * Colour, dash and marker of the nth series, so that colour is not the only difference.
 * @param {number} index
 * @returns {LineStyle}
 */
export function seriesStyle(index) {
  return { colour: colour(`series-${index % 6}`), dash: DASHES[index % 6], symbol: SYMBOLS[index % 6] };
}

/**
 * @param {string} hex
 * @param {number} opacity
 */
export function translucent(hex, opacity) {
  const [red, green, blue] = [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
  return `rgba(${red},${green},${blue},${opacity})`;
}

/**
 * Draw a plot; `makePlot` is called again when the colour scheme changes.
 * @param {HTMLElement} node
 * @param {() => Plot} makePlot
 */
export async function draw(node, makePlot) {
  const plotly = await loadPlotly();
  const redraw = () => {
    const { traces, layout } = makePlot();
    return plotly.react(node, traces, themedLayout(layout, node), CONFIG);
  };
  watchColourScheme();
  redraws.set(node, redraw);
  await redraw();
}

function watchColourScheme() {
  if (watchingColourScheme) return;
  watchingColourScheme = true;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [node, redraw] of redraws) {
      if (node.isConnected) redraw();
      else discard(node);
    }
  });
}

/**
 * Free the memory of a plot that was removed from the page.
 * @param {HTMLElement} node
 */
export function discard(node) {
  if (redraws.delete(node)) window.Plotly?.purge(node);
}

/**
 * @param {Plot["layout"]} layout
 * @param {HTMLElement} node
 */
function themedLayout(layout, node) {
  const text = colour("text");
  const muted = colour("muted");
  const border = colour("border");
  const narrow = node.clientWidth < NARROW_PIXELS;
  /** @param {Record<string, unknown>} [options] */
  const axis = (options = {}) => ({
    gridcolor: border,
    linecolor: muted,
    zeroline: false,
    ticks: "outside",
    ticklen: 4,
    tickcolor: border,
    automargin: true,
    fixedrange: true,
    ...options,
    title: { text: options.title, font: { size: 13, color: muted }, standoff: 10 },
  });
  const { xaxis, yaxis, ...rest } = layout;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: text },
    margin: { l: narrow ? 44 : 56, r: 12, t: 12, b: 48 },
    height: narrow ? 320 : 400,
    dragmode: false,
    hoverlabel: { bgcolor: colour("surface"), bordercolor: muted, font: { color: text, size: 13 } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: text } },
    ...rest,
    xaxis: axis(xaxis),
    yaxis: axis(yaxis),
  };
}

/**
 * A line with its 95 % band: two traces with one legend entry.
 * @template Point
 * @param {string} name
 * @param {Point[]} points
 * @param {PointAccessors<Point>} accessors
 * @param {LineStyle} style
 * @returns {object[]}
 */
export function bandedLine(name, points, { x, y, low, high, tooltip }, style) {
  const xs = points.map(x);
  const traces = [];
  if (low && high && points.every((point) => low(point) !== null)) {
    traces.push({
      x: [...xs, ...xs.toReversed()],
      y: [...points.map(high), ...points.map(low).toReversed()],
      fill: "toself",
      fillcolor: translucent(style.colour, 0.16),
      line: { width: 0 },
      mode: "lines",
      hoverinfo: "skip",
      legendgroup: name,
      showlegend: false,
    });
  }
  traces.push({
    x: xs,
    y: points.map(y),
    name: escapeLabel(name),
    legendgroup: name,
    mode: "lines+markers",
    line: { color: style.colour, dash: style.dash, width: 2 },
    marker: { color: style.colour, symbol: style.symbol, size: 7 },
    text: points.map(tooltip),
    hovertemplate: "%{text}<extra></extra>",
  });
  return traces;
}
