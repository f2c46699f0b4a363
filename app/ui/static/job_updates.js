// Updates of a running job: by server-sent events, or by polling where events are not available.

import { get } from "./api.js";
import { asPageError } from "./errors.js";
import { isFinished } from "./job_formatting.js";

/** @import { Job, JobEvents } from "../types.d.ts" */

/** @typedef {{[Type in keyof JobEvents]: [type: Type, data: JobEvents[Type]]}[keyof JobEvents]} JobEvent */

/**
 * @typedef {object} JobListeners
 * @property {(...event: JobEvent) => void} [onEvent] called with type and data of each event
 * @property {(job: Job) => void} onJob called with the whole job after each change of state
 */

/** @type {(keyof JobEvents)[]} */
const EVENT_TYPES = ["state", "stage", "progress", "epoch"];
const POLL_MILLISECONDS = 2000;

/**
 * Follow a job until it has finished.
 * @param {Job} job
 * @param {JobListeners} listeners
 * @returns {() => void} stops following
 */
export function followJob(job, { onEvent, onJob }) {
  /** @type {number | undefined} */
  let timer;
  let stopped = false;
  const source = new EventSource(job.links.events);

  function stop() {
    stopped = true;
    source.close();
    clearTimeout(timer);
  }

  async function read() {
    try {
      /** @type {Job} */
      const current = await get(job.links.self);
      if (stopped) return;
      onJob(current);
      if (isFinished(current.state)) stop();
    } catch (error) {
      if ([401, 404].includes(asPageError(error).status)) stop(); // other errors may be temporary
    }
  }

  async function poll() {
    await read();
    if (!stopped) timer = setTimeout(poll, POLL_MILLISECONDS);
  }

  for (const type of EVENT_TYPES) {
    source.addEventListener(type, async (message) => {
      const { data } = JSON.parse(message.data);
      onEvent?.(type, data);
      if (type !== "state") return;
      if (isFinished(data.state)) source.close(); // prevents a reconnection when the stream ends
      await read();
    });
  }
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && !stopped) poll();
  });
  return stop;
}
