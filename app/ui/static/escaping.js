// Escaping of text from users and checkpoints: invisible characters, and markup in Plotly labels.

const INVISIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

/**
 * Write control characters, invisible characters and direction marks as their code points: ⟨U+202E⟩.
 * @param {string} text
 */
export function escapeInvisible(text) {
  return text.replace(INVISIBLE, (character) => `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/**
 * A label for Plotly, which otherwise interprets a few HTML tags.
 * @param {string} text
 */
export function escapeLabel(text) {
  return escapeInvisible(String(text)).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
