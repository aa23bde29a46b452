// The last fifty state changes, newest first, kept while the tab lives.
//
// They are found by comparing what the daemon says now with what it said before, so that a stream that broke, or a
// daemon that was gone for a while, costs precision but no change.

import { byId, keyed, make, setText } from "./dom.js";
import { instant, moment } from "./format.js";
import { badge } from "./status.js";
import { now } from "./time.js";

const KEY = "evercandle-events", KEPT = 50, SPOKEN_PER_CHANGE = 2;

let number = 0;
let events = restore();
const seen = new Map();

function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    number = kept.reduce((most, event) => Math.max(most, event.number), 0);
    return kept.slice(0, KEPT);
  } catch {
    return [];
  }
}

/** Something changed: noted, shown, and read out. */
export const note = (state, text, at = now()) => {
  number += 1;
  events = [{ number, at, state, text }, ...events].sort((a, b) => b.at - a.at || b.number - a.number).slice(0, KEPT);
  sessionStorage.setItem(KEY, JSON.stringify(events));
  showEvents();
  announce(text);
};

/** Notes it if `name` is in another state than when it was last looked at; the first look only notes what is wrong. */
export const compare = (name, state, text, { since = null, isWrong = false } = {}) => {
  const before = seen.get(name);
  seen.set(name, state);
  if (before === state || (before === undefined && !isWrong)) return;
  const at = instant(since) ?? now();
  // After a reload the same change is found again.
  if (before === undefined && events.some(event => event.text === text && Math.abs(event.at - at) < 2_000)) return;
  note(state, text, at);
};

/** Names once seen that begin with `prefix`; so that what is no longer there can be told. */
export const known = prefix => [...seen].filter(([name, state]) => name.startsWith(prefix) && state !== "gone").map(([name]) => name);

export const showEvents = () => {
  const list = byId("events");
  if (!events.length) return;
  list.querySelector(":scope > .empty")?.remove();
  keyed(
    list,
    events,
    event => event.number,
    event => make("li", { class: "event" }, make("time", { class: "number", datetime: new Date(event.at).toISOString() }), badge(event.state, event.state), make("span", { class: "event-text" }, event.text)),
    (element, event) => setText(element.querySelector("time"), moment(event.at, now()).replace(" UTC", "")),
  );
};

/** For who listens instead of looking. Several changes at once are read out as one. */
const announce = text => {
  const region = byId("announcements");
  const lines = region.textContent ? region.textContent.split("\n").slice(1 - SPOKEN_PER_CHANGE) : [];
  region.textContent = [...lines, text].join("\n");
};
