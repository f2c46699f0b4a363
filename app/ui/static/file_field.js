// File field of a form: file input and drop area. The upload starts as soon as a file is chosen.

import { announce, el } from "./dom.js";
import { asPageError, isAbort } from "./errors.js";
import { acceptDrops } from "./file_drop.js";
import { formatBytes } from "./formatting.js";
import { uploadFile } from "./uploading.js";

/** @import { Upload, UploadProgress } from "../types.d.ts" */

const PHASES = { hashing: "Hashing", sending: "Uploading", joining: "Verifying" };

export class FileField {
  /** @param {HTMLInputElement} input inside a .file-drop element with a .upload-state element */
  constructor(input) {
    const area = /** @type {HTMLElement} */ (input.closest(".file-drop"));
    this.input = input;
    this.state = /** @type {HTMLElement} */ (area.querySelector(".upload-state"));
    /** @type {File | null} */
    this.file = null;
    /** @type {Promise<Upload> | null} */
    this.upload = null;
    /** @type {AbortController | null} */
    this.controller = null;
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) this.start(file);
    });
    acceptDrops(area, (file) => this.start(file));
  }

  /** @param {File} file */
  start(file) {
    this.controller?.abort();
    this.controller = new AbortController();
    this.file = file;
    const bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const status = el("span");
    const remove = el("button", { type: "button", class: "subtle", onclick: () => this.clear() }, "Remove");
    this.state.replaceChildren(el("strong", {}, file.name), ` (${formatBytes(file.size)}) `, status, remove, bar);
    /** @param {UploadProgress} progress */
    const onProgress = ({ phase, done, total }) => {
      bar.max = total;
      bar.value = done;
      status.textContent = phase === "sending" ? `${PHASES.sending}: ${formatBytes(done)} of ${formatBytes(total)}` : `${PHASES[phase]} …`;
    };
    this.upload = uploadFile(file, { onProgress, signal: this.controller.signal });
    this.upload.then(
      () => {
        status.textContent = "uploaded. ";
        bar.remove();
        announce(`${file.name} was uploaded.`);
      },
      (error) => {
        if (isAbort(error)) return;
        const message = el("span", { class: "field-problem", role: "alert" }, asPageError(error).message);
        const resume = el("button", { type: "button", onclick: () => this.start(file) }, "Resume");
        this.state.replaceChildren(el("strong", {}, file.name), " ", message, " ", resume, remove);
      },
    );
  }

  clear() {
    this.controller?.abort();
    this.upload = null;
    this.file = null;
    this.input.value = "";
    this.state.replaceChildren();
    this.input.focus();
  }
}
