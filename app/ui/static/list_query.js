// Query of a list of jobs, models or data sets, from the values of the page's filters.

/**
 * @param {Record<string, string>} filters by name; empty: no filter
 * @param {number} limit
 * @returns {URLSearchParams}
 */
export function listQuery({ name, ...filters }, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (name?.trim()) query.set("name_contains", name.trim());
  for (const [parameter, value] of Object.entries(filters)) if (value.trim()) query.set(parameter, value.trim());
  return query;
}
