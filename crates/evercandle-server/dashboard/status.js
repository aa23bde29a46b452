// The states things can be in: a word, a sign and a colour for each, in one table, worst first.
//
// Nothing is told by colour alone: wherever a state is shown, its word is beside its sign.

import { icon, make, setAttribute, setIcon, setText } from "./dom.js";

/** Worst first; `tone` is what the style sheet colours. */
const STATES = {
  lost: { sign: "lost", tone: "bad" },
  down: { sign: "down", tone: "bad" },
  failed: { sign: "down", tone: "bad" },
  halted: { sign: "pause", tone: "warn" },
  quarantined: { sign: "pause", tone: "warn" },
  degraded: { sign: "degraded", tone: "warn" },
  last_known: { sign: "wait", tone: "warn" },
  stale: { sign: "wait", tone: "warn" },
  substitute: { sign: "swap", tone: "warn" },
  unknown: { sign: "wait", tone: "quiet" },
  ok: { sign: "ok", tone: "good" },
  live: { sign: "ok", tone: "good" },
};
const ORDER = Object.keys(STATES);

export const stateOf = name => STATES[name] ?? STATES.unknown;

/** Smaller is worse. */
export const badness = name => {
  const place = ORDER.indexOf(name);
  return place < 0 ? ORDER.indexOf("unknown") : place;
};

/** A sign and a word. */
export const badge = (name, word = name) => {
  const element = make("span", { class: "badge" }, icon(stateOf(name).sign), make("span", { class: "badge-word" }));
  setBadge(element, name, word);
  return element;
};

export const setBadge = (element, name, word = name) => {
  setAttribute(element, "data-tone", stateOf(name).tone);
  setIcon(element.querySelector("svg"), stateOf(name).sign);
  setText(element.querySelector(".badge-word"), word.replaceAll("_", " "));
};
