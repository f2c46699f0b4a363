// A job as it goes on: over server-sent events where they come through, by asking again where they do not.

import { get } from "./api.js";
import { FINISHED } from "./words.js";

const EVENTS = ["state", "stage", "progress", "epoch"];
const POLL_MILLISECONDS = 2000;

// onEvent(type, data) for each event, onJob(job) whenever the whole job was read anew. Returns a function that stops.
export function follow(job, { onEvent, onJob }) {
  let timer = null;
  let stopped = false;
  const source = new EventSource(job.links.events);

  function stop() {
    stopped = true;
    source.close();
    clearTimeout(timer);
  }

  async function read() {
    try {
      const fresh = await get(job.links.self);
      if (stopped) return;
      onJob(fresh);
      if (FINISHED.includes(fresh.state)) stop();
    } catch (error) {
      if (error.status === 404 || error.status === 401) stop(); // anything else may pass
    }
  }

  async function poll() {
    await read();
    if (!stopped) timer = setTimeout(poll, POLL_MILLISECONDS);
  }

  for (const type of EVENTS) {
    source.addEventListener(type, async (message) => {
      const { data } = JSON.parse(message.data);
      onEvent?.(type, data);
      if (type !== "state") return;
      if (FINISHED.includes(data.state)) source.close(); // or the browser would connect again when the stream ends
      await read();
    });
  }
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && !stopped) poll();
  });
  return stop;
}
