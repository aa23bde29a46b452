// What is kept warm without anybody asking: what runs next, what the last runs came to, and whose errors there were.

import { byId, keyed, make, setText } from "./dom.js";
import { count, instant, moment, plural, span, words } from "./format.js";
import { badge, setBadge } from "./status.js";
import { now, until } from "./time.js";

const ERRORS_SHOWN = 50;

export const showSchedule = schedule => {
  const facts = byId("scheduler-facts");
  const kinds = schedule.job?.kinds ?? [];
  const state = !schedule.enabled ? "Off: nothing is refreshed unless somebody asks." : !schedule.running ? "Enabled, but not running." : null;
  const next = instant(schedule.job?.next_run_at);
  const says = state ?? `${next}`;
  if (facts.dataset.says !== says) {
    facts.dataset.says = says;
    facts.replaceChildren(...(state ? [state] : next === null ? ["A run is under way."] : ["Next run ", until(next)]));
  }
  const runs = new Map((schedule.last_run?.runs ?? []).map(run => [run.kind, run]));
  for (const run of runs.values()) if (!kinds.some(kind => kind.kind === run.kind)) kinds.push({ kind: run.kind });
  keyed(byId("runs"), kinds, kind => kind.kind, create, (element, kind) => update(element, kind, runs.get(kind.kind)));
};

const create = kind =>
  make(
    "li",
    { class: "run" },
    make("div", { class: "run-head" }, make("h3", {}, words(kind.kind)), badge("unknown")),
    make("p", { class: "run-next" }),
    make("p", { class: "run-last" }),
    make("details", { hidden: true }, make("summary"), make("ul", { class: "story" })),
  );

const update = (element, kind, run) => {
  setBadge(element.querySelector(".badge"), run ? run.status : "unknown", run ? run.status : "not yet run");
  const nextLine = element.querySelector(".run-next");
  const running = instant(kind.running_since), next = instant(kind.next_run_at);
  const says = `${running} ${next} ${kind.every_seconds} ${kind.watches} ${kind.resting}`;
  if (nextLine.dataset.says !== says) {
    nextLine.dataset.says = says;
    const parts = [];
    if (kind.watches !== undefined) parts.push(`${plural(kind.watches, "watch", "watches")}, every ${span((kind.every_seconds ?? 0) * 1000)}`);
    if (kind.resting) parts.push(`, ${kind.resting} resting after failures`);
    if (running !== null) parts.push(`; running since ${moment(running, now())}`);
    else if (next !== null) parts.push("; next ", until(next));
    nextLine.replaceChildren(...parts);
  }
  setText(element.querySelector(".run-last"), run ? lastRun(run) : "No run has ended yet.");
  showErrors(element.querySelector("details"), run?.errors ?? []);
};

const lastRun = run => {
  const at = instant(run.completed_at);
  const from = Object.entries(run.providers ?? {}).map(([name, answers]) => `${name} ${count(answers)}`);
  if (run.cached) from.push(`cache ${count(run.cached)}`);
  const told = [`${run.successful_symbols} of ${plural(run.symbols, "symbol")} in ${duration(run.duration_seconds)}`];
  if (at !== null) told.push(moment(at, now()));
  if (from.length) told.push(`from ${from.join(", ")}`);
  return told.join(" · ");
};

const duration = value => (value < 1 ? `${Math.round(value * 1000)} ms` : `${Number(value).toFixed(1)} s`);

const showErrors = (details, errors) => {
  details.hidden = errors.length === 0;
  setText(details.querySelector("summary"), plural(errors.length, "error"));
  const shown = errors.slice(0, ERRORS_SHOWN);
  keyed(
    details.querySelector("ul"),
    shown,
    error => errorKey(error),
    error => make("li", {}, make("strong", {}, about(error)), make("p", { class: "what" }), make("ul", { class: "reasons" }), make("p", { class: "retry" })),
    (element, error) => {
      setText(element.querySelector(".what"), error.what ?? "");
      const reasons = (error.reasons ?? []).map(reason => `${reason.provider}: ${reason.what}`);
      keyed(element.querySelector(".reasons"), reasons, text => text, text => make("li", {}, text));
      const retry = instant(error.retry_at);
      const failures = error.failures > 1 && !error.provider ? `${error.failures} times in a row` : "";
      setText(element.querySelector(".retry"), [failures, retry === null ? "" : `tried again at ${moment(retry, now())}`].filter(Boolean).join("; "));
    },
  );
};

const errorKey = error => `${error.provider} ${error.market} ${error.symbol} ${error.interval}`;

const about = error => [error.provider ?? error.symbol ?? "sentiment", error.interval, error.market].filter(Boolean).join(" ");
