// `/v1/stream`: what happens, as it happens.
//
// Read with fetch instead of EventSource, because a key has to be sent in a header. After a break it begins again where
// it ended (`Last-Event-ID`), waiting longer after every failure. A daemon that has no stream is asked again rarely; the
// page then lives from asking.

import { headers } from "./api.js";

const WAIT_MS = 1_000, WAIT_MAX_MS = 30_000, ABSENT_MS = 60_000;
/** The daemon says something every 15 s; three times that is silence. */
const SILENCE_MS = 45_000;

/** Follows until `stop()`. `on.event(name, data)`, `on.open()`, `on.closed()`. */
export const follow = (parameters, on) => {
  const stopped = new AbortController();
  let last = null, failures = 0;

  const run = async () => {
    while (!stopped.signal.aborted) {
      let wait = Math.min(WAIT_MAX_MS, WAIT_MS * 2 ** failures) * (0.75 + Math.random() / 2);
      try {
        const outcome = await read();
        failures = outcome.said ? 0 : failures + 1;
        if (outcome.absent) wait = ABSENT_MS;
        else if (outcome.said) wait = WAIT_MS / 4;
      } catch {
        failures += 1;
      }
      if (stopped.signal.aborted) return;
      on.closed();
      await pause(wait, stopped.signal);
    }
  };

  const read = async () => {
    const url = new URL("/v1/stream", location.origin);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await fetch(url, {
        headers: headers({ Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) }),
        cache: "no-store",
        signal: AbortSignal.any([stopped.signal, silence.signal]),
      });
      if (!response.ok || !response.body) {
        await response.body?.cancel();
        return { said: false, absent: [400, 404, 405, 501].includes(response.status) };
      }
      on.open();
      const lines = parser(event => {
        if (event.id !== null) last = event.id;
        // What the page makes of an event is the page's fault, not the stream's.
        try {
          on.event(event.name, event.data);
        } catch (error) {
          reportError(error);
        }
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { said: true };
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        lines(value);
      }
    } finally {
      clearTimeout(timer);
    }
  };

  run();
  return { stop: () => stopped.abort() };
};

const pause = (milliseconds, signal) =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** Lines to events, by the rules of server-sent events. An event whose data is not JSON is passed over. */
export const parser = emit => {
  let rest = "", name = "", data = [], id = null;
  return text => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) {
          try {
            emit({ name: name || "message", data: JSON.parse(data.join("\n")), id });
          } catch (error) {
            if (!(error instanceof SyntaxError)) throw error;
          }
        }
        [name, data] = ["", []];
        continue;
      }
      if (line.startsWith(":")) continue;
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") name = value;
      else if (field === "data") data.push(value);
      else if (field === "id" && !value.includes("\0")) id = value;
    }
  };
};
