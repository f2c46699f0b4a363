// A notification of the browser at the end of a job, for a reader who has other windows in front.

import { el } from "./dom.js";

export class EndNotification {
  constructor() {
    this.wanted = false;
    this.button = el("button", { type: "button", class: "subtle", "aria-pressed": "false" }, "Notify me at the end");
    this.button.addEventListener("click", () => this.toggle());
    this.note = el("span", { class: "help", role: "status" });
    // Browsers offer notifications over https and on the local machine alone.
    this.node = "Notification" in window && isSecureContext ? [this.button, this.note] : null;
  }

  async toggle() {
    this.wanted = !this.wanted && (await Notification.requestPermission()) === "granted";
    this.button.setAttribute("aria-pressed", String(this.wanted));
    this.button.textContent = this.wanted ? "You will be notified at the end" : "Notify me at the end";
    this.note.textContent = Notification.permission === "denied" ? "The browser forbids notifications of this page; allow them in its settings." : "";
  }

  /**
   * Show the notification, if it is wanted.
   * @param {string} title
   * @param {string} body
   */
  show(title, body) {
    if (!this.wanted) return;
    const shown = new Notification(title, { body });
    shown.addEventListener("click", () => {
      window.focus();
      shown.close();
    });
  }
}
