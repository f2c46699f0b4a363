// The way to the API: every request of a page goes through here. The key is in a cookie that scripts cannot read.

const PAGE = { "X-IIS-Page": "1" };

export class ApiProblem extends Error {
  constructor(status, problem, retryAfterSeconds) {
    super(problem.detail ?? "The service answered in a way this page does not know.");
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? null;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The service does not answer. Check that it is still running, then try again.");
    this.status = 0;
    this.code = "unreachable";
    this.errors = [];
  }
}

export async function request(method, path, { body, json, headers, signal } = {}) {
  const fields = { Accept: "application/json", ...PAGE, ...headers };
  if (json !== undefined) fields["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers: fields, body: json === undefined ? body : JSON.stringify(json), signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (response.ok) return response;
  throw await refusal(response.status, await response.text(), response.headers.get("Retry-After"));
}

export async function refusal(status, text, retryAfter) {
  if (status === 401) signIn();
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    problem = { detail: `The service answered with status ${status} and no reason.` };
  }
  return new ApiProblem(status, problem, Number(retryAfter) || null);
}

function signIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export async function get(path, options) {
  return (await request("GET", path, options)).json();
}

// A POST that may be sent twice and counts once.
export async function post(path, json, { headers, ...options } = {}) {
  const once = { "Idempotency-Key": randomKey() };
  return (await request("POST", path, { json, headers: { ...once, ...headers }, ...options })).json();
}

// Every item of a list, page by page, up to `most`.
export async function all(path, most = 500) {
  const items = [];
  let next = path;
  while (next && items.length < most) {
    const page = await get(next);
    items.push(...page.data);
    next = page.links.next;
  }
  return items;
}

// A model or data set once its check has ended.
export async function checked(path, signal) {
  for (;;) {
    const seen = await get(path, { headers: { Prefer: "wait=20" }, signal });
    if (seen.state !== "pending") return seen;
  }
}

export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
