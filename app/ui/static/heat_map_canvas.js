// A heat map drawn on a canvas: colours, and an outline around the values of at least half the largest, which is visible on any picture.

import { el } from "./dom.js";
import { heatColour, largestMagnitude, resample } from "./heat_map_colours.js";

/** @param {string} name CSS class */
export const heatMapCanvas = (name) => el("canvas", { class: name, "aria-hidden": "true" });

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number[][]} values rows
 * @param {number} size pixels of the longer side
 */
export function drawHeatMap(canvas, values, size) {
  const [rows, columns] = [values.length, values[0].length];
  canvas.width = Math.round((size * columns) / Math.max(rows, columns));
  canvas.height = Math.round((size * rows) / Math.max(rows, columns));
  const context = canvas.getContext("2d");
  const largest = largestMagnitude(values);
  if (!context || !largest) return;
  const { width, height } = canvas;
  const fine = resample(values, width, height);
  const picture = context.createImageData(width, height);
  for (const [index, value] of fine.entries()) picture.data.set(heatColour(value / largest), 4 * index);
  context.putImageData(picture, 0, 0);
  outline(context, fine, largest / 2);
}

/**
 * Outline of the pixels whose magnitude reaches a level: white beside black.
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array} values
 * @param {number} level
 */
function outline(context, values, level) {
  const { width, height } = context.canvas;
  const path = new Path2D();
  const inside = (/** @type {number} */ x, /** @type {number} */ y) => x < width && y < height && Math.abs(values[y * width + x]) >= level;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const own = inside(x, y);
      if (x + 1 < width && own !== inside(x + 1, y)) line(path, x + 1, y, x + 1, y + 1);
      if (y + 1 < height && own !== inside(x, y + 1)) line(path, x, y + 1, x + 1, y + 1);
    }
  }
  for (const [colour, lineWidth] of /** @type {[string, number][]} */ ([["#000", width / 70], ["#fff", width / 150]])) {
    context.lineCap = "round";
    context.strokeStyle = colour;
    context.lineWidth = lineWidth;
    context.stroke(path);
  }
}

/**
 * @param {Path2D} path
 * @param {number} x
 * @param {number} y
 * @param {number} endX
 * @param {number} endY
 */
function line(path, x, y, endX, endY) {
  path.moveTo(x, y);
  path.lineTo(endX, endY);
}

/** Legend of the colours, from the largest negative value to the largest positive. */
export function heatLegend() {
  const canvas = heatMapCanvas("heat-bar");
  [canvas.width, canvas.height] = [201, 1];
  const context = canvas.getContext("2d");
  const picture = context?.createImageData(201, 1);
  if (context && picture) {
    for (let x = 0; x <= 200; x++) picture.data.set([...heatColour(x / 100 - 1).slice(0, 3), 255], 4 * x);
    context.putImageData(picture, 0, 0);
  }
  return el("div", { class: "heat-legend" }, el("span", {}, "lowers"), canvas, el("span", {}, "raises"));
}
