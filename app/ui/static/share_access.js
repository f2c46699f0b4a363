// Access by the token of a share link: requests carry it, pictures and downloads are fetched with it, and links to other pages are text.

const MAX_FETCHES = 4; // at once: a worker makes most pictures
const MAX_ATTEMPTS = 4;
const BUSY = 503;

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
 * @returns {[name: string, attributes: Record<string, unknown>]}
 */
export function sharedElement(name, attributes) {
  if (name !== "a" || typeof attributes.href !== "string" || !attributes.href.startsWith("/")) return [name, attributes];
  const { href, download, "aria-keyshortcuts": _, ...others } = attributes;
  if (!href.startsWith("/v1/")) return ["span", others];
  return ["button", { ...others, type: "button", class: "subtle", onclick: () => save(href, String(download || href.split("?")[0].split("/").at(-1))) }];
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
 */
async function save(address, filename) {
  const link = document.createElement("a");
  link.href = await fetchFile(address);
  link.download = filename;
  link.click();
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
      const response = await fetch(address, { headers: shareHeaders(), credentials: "omit", cache: "no-store" });
      if (response.ok) return URL.createObjectURL(await response.blob());
      if (response.status !== BUSY || attempt === MAX_ATTEMPTS) throw new Error(`${address}: ${response.status}`);
      await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("Retry-After")) || 2)));
    }
  } finally {
    fetching--;
    waiting.shift()?.();
  }
}
