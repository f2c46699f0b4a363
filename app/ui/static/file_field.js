// A place to drop a file on, or to choose one: it starts to travel at once and says how far it is.

import { el, say } from "./dom.js";
import { sendFile } from "./uploading.js";
import { bytes } from "./words.js";

const DOING = { hashing: "Reading", sending: "Sending", joining: "Being checked by the service" };

export class FileField {
  // node: a .drop element with an <input type=file> and a .drop-state paragraph inside
  constructor(node) {
    this.node = node;
    this.input = node.querySelector("input[type=file]");
    this.state = node.querySelector(".drop-state");
    this.upload = null; // a promise of the upload once a file was chosen
    this.input.addEventListener("change", () => this.input.files.length && this.take(this.input.files[0]));
    for (const type of ["dragenter", "dragover"]) {
      node.addEventListener(type, (event) => {
        event.preventDefault();
        node.classList.add("over");
      });
    }
    node.addEventListener("dragleave", () => node.classList.remove("over"));
    node.addEventListener("drop", (event) => {
      event.preventDefault();
      node.classList.remove("over");
      if (event.dataTransfer.files.length) this.take(event.dataTransfer.files[0]);
    });
  }

  take(file) {
    this.stop?.abort();
    this.stop = new AbortController();
    this.file = file;
    const bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const words = el("span", {}, "");
    const cancel = el("button", { type: "button", class: "quiet", onclick: () => this.forget() }, "Remove");
    this.state.replaceChildren(el("strong", {}, file.name), ` (${bytes(file.size)}) `, words, cancel, bar);
    const onProgress = ({ doing, done, total }) => {
      bar.max = total;
      bar.value = done;
      words.textContent = doing === "sending" ? `${DOING.sending}: ${bytes(done)} of ${bytes(total)}` : `${DOING[doing]} …`;
    };
    this.upload = sendFile(file, { onProgress, signal: this.stop.signal });
    this.upload.then(
      () => {
        words.textContent = "is here. ";
        bar.remove();
        say(`${file.name} was uploaded.`);
      },
      (error) => {
        if (error.name === "AbortError") return;
        bar.remove();
        const again = el("button", { type: "button", onclick: () => this.take(file) }, "Go on");
        this.state.replaceChildren(el("strong", {}, file.name), " ", el("span", { class: "field-problem", role: "alert" }, error.message), " ", again, cancel);
      },
    );
  }

  forget() {
    this.stop?.abort();
    this.upload = null;
    this.file = null;
    this.input.value = "";
    this.state.replaceChildren();
    this.input.focus();
  }
}
