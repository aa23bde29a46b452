// The upstreams: how each is, since when, and when it is asked again. What is wrong stands on top.

import { byId, keyed, make, setAttribute, setText } from "./dom.js";
import { count, instant, moment, plural, seconds, words } from "./format.js";
import { badge, badness, setBadge } from "./status.js";
import { now, sinceWhen, until } from "./time.js";

/** `[name, provider]`, worst first, then by name. */
export const byBadness = providers =>
  Object.entries(providers ?? {}).sort(([a, one], [b, other]) => badness(one.status) - badness(other.status) || a.localeCompare(b));

export const showProviders = providers => {
  const list = byId("providers");
  list.querySelector(":scope > .empty")?.remove();
  keyed(list, byBadness(providers), ([name]) => name, create, update);
};

const create = ([name]) =>
  make(
    "li",
    { class: "provider" },
    make("div", { class: "provider-head" }, make("h3", {}, name), badge("unknown")),
    make("p", { class: "provider-since" }),
    make("p", { class: "provider-next" }),
    make("p", { class: "provider-error" }),
    make(
      "div",
      { class: "provider-figures" },
      make("span", { class: "latency" }),
      make("div", { class: "quota" }, make("div", { class: "quota-track" }, make("div", { class: "quota-bar" })), make("span", { class: "quota-says" })),
    ),
    make("details", {}, make("summary", {}, "Details"), make("dl", { class: "figures" })),
  );

const update = (element, [name, provider]) => {
  const part = selector => element.querySelector(selector);
  setAttribute(element, "data-status", provider.status);
  setBadge(part(".badge"), provider.status);
  const since = instant(provider.since);
  fill(part(".provider-since"), since === null ? [] : sinceWhen(since), String(since));
  const next = nextProbe(provider);
  fill(part(".provider-next"), next ? [next.says, ...(next.at === null ? [] : [" ", until(next.at)])] : [], next ? `${next.says}${next.at}` : "");
  const isWrong = provider.status !== "ok";
  const error = provider.last_error, said = provider.quarantine;
  fill(part(".provider-error"), isWrong && (said || error) ? [String(said ?? error.what)] : [], isWrong ? String(said ?? error?.what) : "");
  const latency = provider.latency_seconds;
  const hasLatency = latency && latency.p50 !== null && latency.p50 !== undefined;
  setText(part(".latency"), hasLatency ? `p50 ${seconds(latency.p50)} · p99 ${seconds(latency.p99)}` : "no calls yet");
  showQuota(part(".quota"), name, provider.quota);
  showFigures(part("dl"), provider);
};

/** Rewrites only when what it says changed; ages inside go on by themselves. */
const fill = (element, parts, fingerprint) => {
  element.hidden = parts.length === 0;
  if (element.dataset.says === fingerprint) return;
  element.dataset.says = fingerprint;
  element.replaceChildren(...parts);
};

/** When it is asked again: in words, and the time if that is known. */
export const nextProbe = provider => {
  if (provider.circuit === "half_open") return { says: "on trial; next probe", at: instant(provider.retry_at) ?? now() };
  const at = instant(provider.retry_at);
  // Nothing keeps it from being asked; where nobody does, because another answers first, the daemon does once a minute.
  if (at === null) return provider.status === "degraded" ? { says: "asked again within a minute", at: null } : null;
  return { says: provider.status === "quarantined" ? "asked again" : "next probe", at };
};

const showQuota = (element, name, quota) => {
  const limit = quota?.allowed ?? quota?.limit;
  element.hidden = !limit;
  if (!limit) return;
  const share = Math.min(100, Math.round((100 * quota.used) / limit));
  const track = element.querySelector(".quota-track");
  setAttribute(track, "role", "meter");
  setAttribute(track, "aria-label", `quota of ${name} used`);
  setAttribute(track, "aria-valuemin", 0);
  setAttribute(track, "aria-valuemax", limit);
  setAttribute(track, "aria-valuenow", Math.min(quota.used, limit));
  setAttribute(track, "data-level", share >= 90 ? "high" : share >= 60 ? "middle" : "low");
  element.querySelector(".quota-bar").style.width = `${share}%`;
  setText(element.querySelector(".quota-says"), `quota ${count(quota.used)} / ${count(limit)}`);
};

const showFigures = (list, provider) => {
  const rows = [
    ["Serves", (provider.serves ?? []).map(words).join(", ")],
    ["Circuit", words(provider.circuit)],
    ["Failures in a row", count(provider.failure_count ?? 0)],
    ["Answers, failures", `${count(provider.success_count ?? 0)}, ${count(provider.failures_total ?? 0)}`],
    ["Not asked", plural(provider.skipped_total ?? 0, "time")],
    ["Last answer", ago(provider.last_success_at)],
    ["Last probe", event(provider.last_probe)],
    ["Last error", event(provider.last_error)],
    ["Quota shared by", provider.quota?.group ?? ""],
  ].filter(([, value]) => value !== "");
  keyed(
    list,
    rows,
    ([label]) => label,
    ([label]) => make("div", {}, make("dt", {}, label), make("dd")),
    (row, [, value]) => setText(row.querySelector("dd"), value),
  );
};

const ago = at => (instant(at) === null ? "never" : moment(instant(at), now()));

const event = happened => (happened ? `${ago(happened.at)}: ${happened.what}` : "none");

