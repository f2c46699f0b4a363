// Parsing of form texts: numbers, lists of numbers, name=value lines.

/**
 * The number, undefined for an empty text, or the text itself if it is not a number; the API then refuses it.
 * @param {string} text
 * @returns {number | string | undefined}
 */
export function parseNumber(text) {
  if (!text) return undefined;
  return Number.isNaN(Number(text)) ? text : Number(text);
}

/**
 * Numbers separated by commas, semicolons or spaces; undefined for an empty text.
 * @param {string} text
 * @returns {(number | string | undefined)[] | undefined}
 */
export function parseNumbers(text) {
  return text ? text.split(/[\s,;]+/).map(parseNumber) : undefined;
}

/**
 * Names separated by commas.
 * @param {string} text
 * @returns {string[]}
 */
export const parseNames = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

/**
 * One name=value per line; a value is JSON if it can be parsed as such, otherwise a string.
 * @param {string} text
 * @returns {{values: Record<string, unknown>, invalidLine: string | null}} the first line of another form, if there is one
 */
export function parseArguments(text) {
  /** @type {Record<string, unknown>} */
  const values = {};
  for (const line of text.split("\n").map((raw) => raw.trim()).filter(Boolean)) {
    const separator = line.indexOf("=");
    if (separator < 1) return { values, invalidLine: line };
    const value = line.slice(separator + 1).trim();
    try {
      values[line.slice(0, separator).trim()] = JSON.parse(value);
    } catch {
      values[line.slice(0, separator).trim()] = value;
    }
  }
  return { values, invalidLine: null };
}

/**
 * The fields that have a value: neither undefined nor empty.
 * @param {Record<string, unknown>} fields
 * @returns {Record<string, unknown>}
 */
export const filledFields = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""));
