// Draws with plotly.js in the page's own colours and types, again whenever the reader's colour scheme changes.

import { legible } from "./dom.js";

const drawn = new Map();
const CONFIG = { displayModeBar: false, responsive: true, showTips: false };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "star"];

function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  return new Promise((resolve, reject) => {
    const script = document.querySelector("script[src*='plotly']");
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => reject(new Error("The plots' script could not be fetched; the tables below them say the same.")));
  });
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// The nth of several jobs: its colour, dash and marker, so that none is told by colour alone.
export function look(index) {
  return { colour: colour(`series-${index % 6}`), dash: DASHES[index % 6], symbol: SYMBOLS[index % 6] };
}

export function translucent(hex, share) {
  const [red, green, blue] = [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
  return `rgba(${red},${green},${blue},${share})`;
}

// make() gives {traces, layout}; it is called again for another colour scheme.
export async function draw(node, make) {
  const library = await plotly();
  const again = () => {
    const { traces, layout } = make();
    return library.react(node, traces, styled(layout, node), CONFIG);
  };
  drawn.set(node, again);
  await again();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [node, again] of drawn) {
    if (node.isConnected) again();
    else forget(node);
  }
});

// A plot that is shown no more; a page that draws the same again and again would keep all of them.
export function forget(node) {
  if (drawn.delete(node)) window.Plotly.purge(node);
}

function styled(layout, node) {
  const ink = colour("ink");
  const quiet = colour("quiet");
  const narrow = node.clientWidth < 520;
  const axis = (given = {}) => ({
    gridcolor: colour("line"),
    linecolor: colour("quiet"),
    zeroline: false,
    ticks: "outside",
    ticklen: 4,
    tickcolor: colour("line"),
    automargin: true,
    fixedrange: true,
    ...given,
    title: { text: given.title, font: { size: 13, color: quiet }, standoff: 10 },
  });
  const { xaxis, yaxis, ...rest } = layout;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: ink },
    margin: { l: narrow ? 44 : 56, r: 12, t: 12, b: 48 },
    height: narrow ? 320 : 400,
    dragmode: false,
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("quiet"), font: { color: ink, size: 13 } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: ink } },
    ...rest,
    xaxis: axis(xaxis),
    yaxis: axis(yaxis),
  };
}

// A line with its 95 % band, as two traces of one legend entry.
export function banded(name, points, { x, y, low, high, hover }, style) {
  const xs = points.map(x);
  const traces = [];
  if (low && points.every((point) => low(point) !== null)) {
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
    text: points.map(hover),
    hovertemplate: "%{text}<extra></extra>",
  });
  return traces;
}

// plotly reads a few tags in its labels, and all but <br> it turns into style attributes; names of ours are to stand as they are.
export function escapeLabel(text) {
  return legible(String(text)).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
