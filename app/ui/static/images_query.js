// Query of the list of test images, from the values of the page's filters.

/**
 * @param {Record<string, string>} filters outcome (wrong or disagree), confidence (as 0.5-0.9), and classes by parameter; empty: no filter
 * @param {number} limit
 * @returns {URLSearchParams}
 */
export function imagesQuery({ outcome, confidence, ...classes }, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (outcome) query.set(outcome, "true");
  const [low, high] = (confidence ?? "").split("-");
  if (low) query.set("min_confidence", low);
  if (high) query.set("max_confidence", high);
  for (const [name, value] of Object.entries(classes)) if (value) query.set(name, value);
  return query;
}
