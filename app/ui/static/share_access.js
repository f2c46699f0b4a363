// Access by the token of a share link: requests carry it, pictures and downloads are fetched with it, and links to other pages are text.

import { ServiceUnreachable, problemOf } from "./errors.js";

const MAX_FETCHES = 4; // at once: a worker makes most pictures
const MAX_ATTEMPTS = 4;
const BUSY_STATUSES = [429, 503];

/** @typedef {(button: HTMLElement, error: unknown) => void} ShowOutcome of a download; `error` is null where it succeeded */

/** @type {string | null} */
let token = null;
let fetching = 0;
/** @type {((value?: unknown) => void)[]} */
const waiting = [];
/** @type {Map<string, Promise<string>>} */
const pictures = new Map(); // addresses of fetched pictures, by their address at the service

/** @param {string} given token of a share link, for all requests of this page */
export function useToken(given) {
  token = given;
}

/** Whether this page shows a share link. */
export const isShared = () => token !== null;

/** @returns {Record<string, string>} headers of requests, none on other pages */
export const shareHeaders = () => (token === null ? {} : { Authorization: `Bearer ${token}` });

/**
 * The element to make on a shared page: a link to a file becomes a button that saves it, a link to another page its text.
 * @param {string} name
 * @param {Record<string, unknown>} attributes
 * @param {ShowOutcome} showOutcome
 * @returns {[name: string, attributes: Record<string, unknown>]}
 */
export function sharedElement(name, attributes, showOutcome) {
  if (name !== "a" || typeof attributes.href !== "string" || !attributes.href.startsWith("/")) return [name, attributes];
  const { href, download, "aria-keyshortcuts": _, ...others } = attributes;
  if (!href.startsWith("/v1/")) return ["span", others];
  const filename = String(download || href.split("?")[0].split("/").at(-1));
  const onclick = (/** @type {Event} */ event) => save(href, filename, /** @type {HTMLElement} */ (event.currentTarget), showOutcome);
  return ["button", { ...others, type: "button", class: "subtle", onclick }];
}

/**
 * Show a picture that needs the token.
 * @param {HTMLElement} image
 * @param {string} address
 */
export async function showPicture(image, address) {
  const fetched = pictures.get(address) ?? fetchFile(address);
  pictures.set(address, fetched);
  try {
    image.setAttribute("src", await fetched);
  } catch {
    image.classList.add("missing"); // the text alternative is shown
  }
}

/**
 * @param {string} address
 * @param {string} filename
 * @param {HTMLElement} button
 * @param {ShowOutcome} showOutcome
 */
async function save(address, filename, button, showOutcome) {
  try {
    const content = await fetchFile(address);
    const link = document.createElement("a");
    link.href = content;
    link.download = filename;
    link.click();
    showOutcome(button, null);
  } catch (error) {
    showOutcome(button, error);
  }
}

/**
 * @param {string} address
 * @returns {Promise<string>} address of its content in this page
 */
async function fetchFile(address) {
  while (fetching >= MAX_FETCHES) await new Promise((resolve) => waiting.push(resolve));
  fetching++;
  try {
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(address, { headers: shareHeaders(), credentials: "omit", cache: "no-store" }).catch(() => {
        throw new ServiceUnreachable();
      });
      if (response.ok) return URL.createObjectURL(await response.blob());
      const retryAfter = response.headers.get("Retry-After");
      if (!BUSY_STATUSES.includes(response.status) || attempt === MAX_ATTEMPTS) throw problemOf(response.status, await response.text(), retryAfter);
      await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(retryAfter) || 2)));
    }
  } finally {
    fetching--;
    waiting.shift()?.();
  }
}
