// Colours of heat maps: a diverging map that is uniform in the perceptual space OKLab, red above 0 and blue below; and resampling of maps.
// Conversion: B. Ottosson, A perceptual color space for image processing, 2020.

/** @typedef {[lightness: number, a: number, b: number]} OkLab */

/** @type {OkLab} */
const NEUTRAL = [0.96, 0, 0];
/** @type {OkLab} */
const POSITIVE = [0.58, 0.165, 0.105];
/** @type {OkLab} */
const NEGATIVE = [0.5, -0.03, -0.17];
const FULL_ALPHA_AT = 0.8; // magnitude, as a share of the largest; towards 0 the picture shows through

/**
 * The colour of a value in OKLab: steps of equal size look equally large.
 * @param {number} share of the largest magnitude, -1 to 1
 * @returns {OkLab}
 */
export function heatLab(share) {
  const end = share < 0 ? NEGATIVE : POSITIVE;
  const way = Math.min(1, Math.abs(share));
  /** @param {0 | 1 | 2} index */
  const mix = (index) => NEUTRAL[index] + way * (end[index] - NEUTRAL[index]);
  return [mix(0), mix(1), mix(2)];
}

/**
 * @param {OkLab} colour
 * @returns {[red: number, green: number, blue: number]} 0 to 255, unclipped and unrounded
 */
export function labToRgb([lightness, a, b]) {
  const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    255 * encode(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
    255 * encode(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
    255 * encode(-0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short),
  ];
}

/** @param {number} linear */
const encode = (linear) => (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055);

/**
 * Red, green, blue and opacity of a value.
 * @param {number} share of the largest magnitude, -1 to 1
 * @returns {[number, number, number, number]} 0 to 255
 */
export function heatColour(share) {
  const [red, green, blue] = labToRgb(heatLab(share));
  return [Math.round(red), Math.round(green), Math.round(blue), Math.round(255 * Math.min(1, Math.abs(share) / FULL_ALPHA_AT))];
}

/**
 * A map resized bilinearly.
 * @param {number[][]} values rows
 * @param {number} width
 * @param {number} height
 * @returns {Float32Array} row by row
 */
export function resample(values, width, height) {
  const out = new Float32Array(width * height);
  const [rows, columns] = [values.length, values[0].length];
  for (let y = 0; y < height; y++) {
    const [top, below, vertical] = place(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, horizontal] = place(x, width, columns);
      const upper = values[top][left] * (1 - horizontal) + values[top][right] * horizontal;
      const lower = values[below][left] * (1 - horizontal) + values[below][right] * horizontal;
      out[y * width + x] = upper * (1 - vertical) + lower * vertical;
    }
  }
  return out;
}

/**
 * The two source pixels around the centre of a target pixel, and the share of the second.
 * @param {number} index
 * @param {number} size
 * @param {number} source
 * @returns {[first: number, second: number, share: number]}
 */
function place(index, size, source) {
  const position = Math.min(source - 1, Math.max(0, ((index + 0.5) * source) / size - 0.5));
  const first = Math.floor(position);
  return [first, Math.min(source - 1, first + 1), position - first];
}

/** @param {number[][]} values */
export const largestMagnitude = (values) => values.reduce((most, row) => row.reduce((all, value) => Math.max(all, Math.abs(value)), most), 0);
