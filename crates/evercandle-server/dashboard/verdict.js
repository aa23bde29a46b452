// The answer to the only question at three in the morning: what is wrong, since when, and what happens next.
//
// `judge` is pure: what the daemon said about itself, to one word, one sentence and the list of what is wrong, worst
// first. Everything that can be wrong has its line here, so that nobody has to look for it further down.

import { byId, icon, keyed, make, setAttribute, setIcon, setText } from "./dom.js";
import { count, instant, plural, words } from "./format.js";
import { alertAbout, alertKey, alertName, isFiring } from "./alerts.js";
import { readonly } from "./cache.js";
import { isSubstitute } from "./prices.js";
import { byBadness, nextProbe } from "./providers.js";
import { stateOf } from "./status.js";
import { now, sinceWhen, until } from "./time.js";

const WORDS = { ok: "OK", degraded: "Degraded", down: "Down", lost: "No contact", wait: "Connecting", locked: "Locked" };

/** `{ state, lead, since, sentence, problems: [{ key, state, title, since, next, error }] }`: what is worst, since when, and the rest. */
export const judge = ({ contact, health, scheduler, prices }) => {
  if (contact.locked) return { state: "locked", sentence: "This daemon asks for an API key.", problems: [] };
  if (contact.lost) {
    const since = contact.lastAt;
    const problem = { key: "contact", state: "lost", title: "The daemon does not answer", since, next: { says: "this page asks again", at: contact.nextAt }, error: "It may have been stopped or be restarting, or the network between is down. What is shown below is from before." };
    return { state: "lost", sentence: since === null ? "The daemon has not answered yet." : "Everything below is what was last known.", problems: [problem] };
  }
  if (!health && !scheduler) return { state: "wait", sentence: "Asking the daemon how it is.", problems: [] };
  const problems = [
    ...stopping(health),
    ...commonCause(health),
    ...ofProviders(scheduler?.providers ?? health?.providers),
    ...ofPrices(prices),
    ...ofCache(health?.cache),
    ...ofSchedule(scheduler),
    ...ofWebhooks(health?.notifier),
    ...ofAlerts(health?.alerts),
  ];
  // What the daemon knows to be wrong and this page has no line for.
  if (!problems.length) problems.push(...(health?.summary ?? []).map(text => ({ key: text, state: "degraded", title: text, since: null, next: null, error: null })));
  const state = health?.status ?? (problems.length ? "degraded" : "ok");
  // One thing by name, with its own time: the oldest of all would say how long something else is wrong.
  const worst = state === "down" ? null : problems[0];
  return { state, lead: worst?.title ?? "", since: worst?.since ?? null, sentence: sentence(state, problems, scheduler), problems };
};

const sentence = (state, problems, scheduler) => {
  const providers = Object.values(scheduler?.providers ?? {}), watches = (scheduler?.job?.kinds ?? []).reduce((sum, kind) => sum + (kind.watches ?? 0), 0);
  if (state === "down") return "Nothing can be served: no upstream answers and nothing is cached.";
  if (problems.length === 0) return `Nothing is wrong. ${providers.length ? `All ${plural(providers.length, "provider")} ok` : "No provider was asked yet"}; ${plural(watches, "watch", "watches")} kept warm.`;
  const more = problems.length === 1 ? "" : `, and ${plural(problems.length - 1, "more thing")} below`;
  return `${more}. ${state === "ok" ? "Everything is served." : "What can be served is served."}`;
};

const stopping = health =>
  health?.draining ? [{ key: "stopping", state: "degraded", title: "The daemon was told to stop", since: null, next: null, error: "Answers under way are ended; new requests belong elsewhere." }] : [];

const commonCause = health => {
  const since = instant(health?.common_cause_since);
  if (since === null) return [];
  return [{ key: "common cause", state: "down", title: "Most upstreams fail at once", since, next: null, error: "The cause is probably on this side: network, DNS, firewall or clock of this machine." }];
};

const ofProviders = providers =>
  byBadness(providers)
    .filter(([, provider]) => provider.status !== "ok")
    .map(([name, provider]) => ({
      key: `provider ${name}`,
      state: provider.status,
      title: `${name} is ${words(provider.status)}`,
      since: instant(provider.since ?? provider.opened_at),
      next: nextProbe(provider),
      error: provider.quarantine ?? provider.last_error?.what ?? null,
    }));

const ofPrices = prices => {
  const wrong = (prices ?? []).filter(price => isSubstitute(price) || ["stale", "last_known"].includes(price.state));
  if (!wrong.length) return [];
  const oldest = wrong.reduce((worst, price) => Math.min(worst, instant(price.as_of) ?? worst), Infinity);
  const substitutes = wrong.filter(isSubstitute).length;
  const some = wrong.slice(0, 3).map(price => price.symbol).join(", ") + (wrong.length > 3 ? `, ${count(wrong.length - 3)} more` : "");
  const title = substitutes === wrong.length ? `SUBSTITUTE prices for ${some}` : `Prices not live: ${some}`;
  const error = substitutes ? `Another source is shown instead, labelled as such: ${wrong.find(isSubstitute).substitute ?? "not the exchange's own"}.` : "The last known value is served, labelled with its age.";
  return [{ key: "prices", state: substitutes ? "substitute" : "last_known", title, since: Number.isFinite(oldest) && !substitutes ? oldest : null, next: null, error }];
};

const ofCache = cache => {
  const why = readonly(cache);
  return why === null ? [] : [{ key: "cache", state: "degraded", title: "The cache is read-only", since: null, next: null, error: `${why}. Answers are still served.` }];
};

const ofSchedule = scheduler => {
  if (!scheduler?.enabled) return [];
  if (!scheduler.running) return [{ key: "scheduler", state: "down", title: "The scheduler is not running", since: null, next: null, error: "Nothing is refreshed unless somebody asks." }];
  return (scheduler.last_run?.runs ?? [])
    .filter(run => run.status !== "ok")
    .map(run => {
      const kind = (scheduler.job?.kinds ?? []).find(one => one.kind === run.kind), next = instant(kind?.next_run_at);
      const first = run.errors?.[0];
      const about = first ? `${[first.symbol, first.interval].filter(Boolean).join(" ")}${first.symbol ? ": " : ""}${first.what}` : null;
      const missed = run.symbols - run.successful_symbols;
      return { key: `run ${run.kind}`, state: run.status, title: `Refresh of ${words(run.kind)}: ${missed > 0 ? `${missed} of ${plural(run.symbols, "symbol")} failed` : run.status}`, since: null, next: next === null ? null : { says: "next run", at: next }, error: about };
    });
};

/** What was given up is wrong for an hour, as in the daemon's own verdict; whether it is still so shows with the next message. */
const GIVEN_UP_COUNTS = 3_600_000;

const ofWebhooks = notifier =>
  Object.entries(notifier?.webhooks ?? {})
    .filter(([, webhook]) => webhook.status === "failing" && (webhook.waiting || now() - instant(webhook.last_failure?.at) < GIVEN_UP_COUNTS))
    .map(([name, webhook]) => ({
      key: `webhook ${name}`,
      state: "degraded",
      title: `Webhook ${name} is not told of alerts`,
      since: instant(webhook.failing_since),
      next: null,
      error: [webhook.last_failure?.what, webhook.waiting ? `${plural(webhook.waiting, "message")} waiting` : "what was to be told is given up"].filter(Boolean).join("; "),
    }));

const ofAlerts = alerts =>
  (alerts ?? []).filter(isFiring).map(alert => ({
    key: `alert ${alertKey(alert)}`,
    state: alert.severity === "warn" ? "degraded" : "down",
    title: `Alert: ${[alertName(alert), alertAbout(alert)].filter(Boolean).join(", ")}`,
    since: instant(alert.began_at ?? alert.since),
    next: null,
    error: [alert.summary, alert.runbook].filter(Boolean).join(" "),
  }));

// --- shown ------------------------------------------------------------------------------------------------------------

export const showVerdict = ({ state, lead = "", since = null, sentence: says, problems }) => {
  const section = byId("verdict");
  setAttribute(section, "data-state", state);
  setText(byId("verdict-word"), WORDS[state] ?? state);
  rewrite(byId("verdict-sentence"), JSON.stringify([lead, since, says]), [
    ...(lead ? [make("strong", {}, lead)] : []),
    ...(since === null ? [] : [lead ? " " : "", ...sinceWhen(since)]),
    says,
  ]);
  setIcon(byId("verdict-icon"), state === "wait" || state === "locked" ? "wait" : stateOf(state).sign);
  document.title = state === "ok" ? "Evercandle" : `${WORDS[state] ?? state} – Evercandle`;
  keyed(byId("problems"), problems, problem => problem.key, create, update);
};

const create = () =>
  make(
    "li",
    { class: "problem" },
    icon("degraded"),
    make("div", { class: "problem-what" }, make("strong", { class: "problem-title" }), make("p", { class: "problem-error" })),
    make("p", { class: "problem-since" }),
    make("p", { class: "problem-next" }),
  );

const update = (element, problem) => {
  setAttribute(element, "data-tone", stateOf(problem.state).tone);
  setIcon(element.querySelector("svg"), stateOf(problem.state).sign);
  setText(element.querySelector(".problem-title"), problem.title);
  setText(element.querySelector(".problem-error"), problem.error ?? "");
  const since = element.querySelector(".problem-since"), next = element.querySelector(".problem-next");
  // Where the daemon does not say since when, this page says since when it has seen it.
  const seen = Number(element.dataset.seen ?? now());
  setAttribute(element, "data-seen", seen);
  rewrite(since, String(problem.since), problem.since === null ? ["seen ", ...sinceWhen(seen)] : sinceWhen(problem.since));
  rewrite(next, `${problem.next?.says} ${problem.next?.at}`, problem.next ? [problem.next.says, ...(problem.next.at === null ? [] : [" ", until(problem.next.at)])] : []);
};

const rewrite = (element, says, parts) => {
  if (element.dataset.says === says) return;
  element.dataset.says = says;
  element.replaceChildren(...parts);
};

