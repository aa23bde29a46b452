// What somebody was told about, or is about to be: each alert with what to do about it.

import { byId, keyed, make, setText } from "./dom.js";
import { instant } from "./format.js";
import { badge, setBadge } from "./status.js";
import { sinceWhen } from "./time.js";

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
  setText(element.querySelector(".alert-runbook"), alert.runbook && alert.state !== "resolved" ? `What to do: ${alert.runbook}` : "");
};
