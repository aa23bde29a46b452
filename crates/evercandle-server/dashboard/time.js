// The daemon's clock as this page knows it, and every age and countdown on the page.
//
// Ages are told by the daemon's clock, because "down since 03:02" is its word and a laptop's clock may be minutes off.
// An element that shows one says since or until when, and is rewritten every second by one timer.

import { countdown, moment, span } from "./format.js";
import { make, setText } from "./dom.js";

let offset = 0;

/** Now, by the daemon's clock, in milliseconds. */
export const now = () => Date.now() + offset;

/** The daemon said what time it is; `sent` and `received` are this machine's. */
export const learn = (said, sent, received) => {
  const measured = said - (sent + received) / 2;
  // Less than half a second is the network's; following it would make seconds jump.
  if (Math.abs(measured - offset) > 500) offset = measured;
};

/** `12 min`, growing. */
export const age = since => tick(make("span", { class: "number", "data-since": since }));

/** `0:23`, shrinking; then `now`. */
export const until = at => tick(make("span", { class: "number", "data-until": at }));

/** `since 03:02:11 UTC (12 min)`. */
export const sinceWhen = at => [`since ${moment(at, now())} (`, age(at), ")"];

const tick = element => {
  const { since, until: end } = element.dataset;
  if (since !== undefined) setText(element, span(now() - Number(since)));
  if (end !== undefined) setText(element, Number(end) <= now() ? "now" : `in ${countdown(Number(end) - now())}`);
  return element;
};

export const tickAll = () => {
  for (const element of document.querySelectorAll("[data-since], [data-until]")) tick(element);
};
