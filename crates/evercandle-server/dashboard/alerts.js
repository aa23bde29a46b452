// What somebody was told about, or is about to be: each alert with what to do about it; and who is told.

import { byId, keyed, make, setText } from "./dom.js";
import { instant, moment } from "./format.js";
import { badge, setBadge } from "./status.js";
import { now, sinceWhen } from "./time.js";

/** `ProviderFailing` → `Provider failing`. */
export const alertName = alert => {
  const apart = String(alert.name).replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
  return apart.replaceAll("_", " ");
};

/** What it is about: an upstream, or something else by name. */
export const alertAbout = alert => alert.provider ?? alert.subject ?? "";

export const alertKey = alert => `${alert.name} ${alertAbout(alert)}`.trim();

export const isFiring = alert => alert.state === "firing";

const ORDER = ["firing", "pending", "resolved"];

export const showAlerts = alerts => {
  const list = byId("alerts");
  list.querySelector(":scope > .empty")?.remove();
  if (!alerts?.length) {
    list.replaceChildren(make("li", { class: "empty" }, "None is active."));
    return;
  }
  const sorted = [...alerts].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || alertKey(a).localeCompare(alertKey(b)));
  keyed(list, sorted, alertKey, create, update);
};

const create = alert =>
  make(
    "li",
    { class: "alert" },
    make("div", { class: "alert-head" }, make("h3", {}, [alertName(alert), alertAbout(alert)].filter(Boolean).join(": ")), badge("degraded")),
    make("p", { class: "alert-since" }),
    make("p", { class: "alert-says" }),
    make("p", { class: "alert-runbook" }),
  );

const update = (element, alert) => {
  const firing = isFiring(alert), tone = alert.state === "resolved" ? "ok" : !firing ? "unknown" : alert.severity === "warn" ? "degraded" : "down";
  setBadge(element.querySelector(".badge"), tone, firing ? `${alert.state}: ${alert.severity}` : String(alert.state));
  const since = instant(alert.since), line = element.querySelector(".alert-since");
  if (line.dataset.says !== String(since)) {
    line.dataset.says = String(since);
    line.replaceChildren(...(since === null ? [] : sinceWhen(since)));
  }
  setText(element.querySelector(".alert-says"), alert.summary ?? "");
  const runbook = element.querySelector(".alert-runbook");
  runbook.hidden = !alert.runbook || alert.state === "resolved";
  setText(runbook, `What to do: ${alert.runbook}`);
};

const TOLD = { ok: ["ok", "told"], failing: ["degraded", "failing"], idle: ["unknown", "nothing told yet"] };

/** Who is told of alerts, and how that went last. */
export const showWebhooks = notifier => {
  if (!notifier) return;
  const webhooks = Object.entries(notifier.webhooks ?? {});
  const nobody = notifier.enabled ? "nobody: alerts.webhooks is empty" : "nothing is evaluated: alerts.enabled is false";
  const rows = webhooks.length ? webhooks : [["", { says: nobody }]];
  keyed(
    byId("webhooks"),
    rows,
    ([name]) => name,
    ([name, webhook]) => make("div", {}, make("dt", {}, name ? `Told: ${name}` : "Told"), make("dd", {}, webhook.says ? "" : badge("unknown"), make("p"))),
    (row, [, webhook]) => {
      const note = row.querySelector("p");
      if (webhook.says) return setText(note, webhook.says);
      setBadge(row.querySelector(".badge"), ...(TOLD[webhook.status] ?? ["unknown", webhook.status]));
      const { status, last_success_at: success, last_failure: failure } = webhook;
      const says = status === "failing" ? `${failure?.what}, since ${moment(instant(webhook.failing_since), now())}` : success ? `last ${moment(instant(success), now())}` : "";
      setText(note, says);
    },
  );
};
