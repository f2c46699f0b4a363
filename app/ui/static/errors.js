// Errors that a page shows to its user.

/** @import { FieldError, Problem } from "../types.d.ts" */

/** An error with a message for the user; `status` is the HTTP status, or 0 where there was no response. */
export class PageError extends Error {
  status = 0;
  code = "page";
  /** @type {FieldError[]} */
  errors = [];
  /** @type {string | null} */
  requestId = null;
  /** @type {number | null} */
  retryAfterSeconds = null;
}

/** A problem document (RFC 9457) of the API. */
export class ApiProblem extends PageError {
  /**
   * @param {number} status
   * @param {Problem} problem
   * @param {number | null} retryAfterSeconds
   */
  constructor(status, problem, retryAfterSeconds) {
    super(problem.detail ?? "Unexpected response from the service.");
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? null;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * The error for a response that is not 2xx.
 * @param {number} status
 * @param {string} text of the response
 * @param {string | null} retryAfter header
 */
export function problemOf(status, text, retryAfter) {
  /** @type {Problem} */
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {
    problem = { detail: `The service responded with status ${status} and no details.` };
  }
  return new ApiProblem(status, problem, Number(retryAfter) || null);
}

export class ServiceUnreachable extends PageError {
  constructor() {
    super("The service does not respond. Check that it is running, then try again.");
    this.code = "unreachable";
  }
}

/** A file that cannot be uploaded. */
export class FileProblem extends PageError {}

/**
 * A caught value as a PageError.
 * @param {unknown} error
 * @returns {PageError}
 */
export function asPageError(error) {
  if (error instanceof PageError) return error;
  return new PageError(error instanceof Error ? error.message : String(error), { cause: error });
}

/** @param {unknown} error */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}
