// Requests to the API. Authentication is by a cookie that scripts cannot read, or by the token of a share link.

import { ServiceUnreachable, isAbort, problemOf } from "./errors.js";
import { isShared, shareHeaders } from "./share_access.js";

/** @import { Page } from "../types.d.ts" */

/**
 * @typedef {object} RequestOptions
 * @property {BodyInit} [body]
 * @property {unknown} [json] sent as the body
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

const PAGE_HEADERS = { "X-IIS-Page": "1" }; // required with the cookie; other sites cannot send it

/**
 * Send a request; throw an ApiProblem for every status that is not 2xx.
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<Response>}
 */
export async function request(method, path, { body, json, headers, signal } = {}) {
  /** @type {Record<string, string>} */
  const fields = { Accept: "application/json", ...PAGE_HEADERS, ...shareHeaders(), ...headers };
  if (json !== undefined) fields["Content-Type"] = "application/json";
  const content = json === undefined ? body : JSON.stringify(json);
  let response;
  try {
    response = await fetch(path, { method, headers: fields, body: content, signal, credentials: isShared() ? "omit" : "same-origin" });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ServiceUnreachable();
  }
  if (response.ok) return response;
  throw parseProblem(response.status, await response.text(), response.headers.get("Retry-After"));
}

/**
 * The error for a response that is not 2xx; 401 leads to the sign-in page, except on shared pages.
 * @param {number} status
 * @param {string} text
 * @param {string | null} retryAfter
 */
export function parseProblem(status, text, retryAfter) {
  if (status === 401 && !isShared()) redirectToSignIn();
  return problemOf(status, text, retryAfter);
}

function redirectToSignIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * @template Body
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<Body>}
 */
export async function get(path, options) {
  return (await request("GET", path, options)).json();
}

/**
 * POST with an Idempotency-Key, so that a repeated request has one effect.
 * @template Body
 * @param {string} path
 * @param {unknown} [json]
 * @param {RequestOptions} [options]
 * @returns {Promise<Body>}
 */
export async function post(path, json, { headers, ...options } = {}) {
  const key = { "Idempotency-Key": randomKey() };
  return (await request("POST", path, { json, headers: { ...key, ...headers }, ...options })).json();
}

/**
 * All items of a paginated list, up to about `limit`.
 * @template Item
 * @param {string} path
 * @param {number} [limit]
 * @returns {Promise<Item[]>}
 */
export async function getAll(path, limit = 500) {
  /** @type {Item[]} */
  const items = [];
  /** @type {string | null} */
  let next = path;
  while (next && items.length < limit) {
    /** @type {Page<Item>} */
    const page = await get(next);
    items.push(...page.data);
    next = page.links.next;
  }
  return items;
}

/**
 * Wait until the service has validated a model or data set.
 * @template {{state: string}} Resource
 * @param {string} path
 * @returns {Promise<Resource>}
 */
export async function waitUntilValidated(path) {
  for (;;) {
    /** @type {Resource} */
    const resource = await get(path, { headers: { Prefer: "wait=20" } });
    if (resource.state !== "pending") return resource;
  }
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
