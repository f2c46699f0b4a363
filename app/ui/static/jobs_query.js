// Query of the list of jobs, from the values of the page's filters; the page's address has the same filters.

/** Parameters of the page's address, of the same names as the form's fields. */
export const JOB_FILTERS = ["name", "state", "kind", "tag", "sort"];

/**
 * @param {Record<string, string>} filters by name; empty: no filter
 * @param {number} limit
 * @returns {URLSearchParams}
 */
export function jobsQuery({ name, ...filters }, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (name?.trim()) query.set("name_contains", name.trim());
  for (const [parameter, value] of Object.entries(filters)) if (value.trim()) query.set(parameter, value.trim());
  return query;
}
