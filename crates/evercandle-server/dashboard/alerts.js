// What somebody was told about, or is about to be: each alert with what to do about it.

import { byId, keyed, make, setText } from "./dom.js";
import { instant, words } from "./format.js";
import { badge, setBadge } from "./status.js";
import { sinceWhen } from "./time.js";

export const alertName = alert => String(alert.name ?? alert.rule ?? alert.alert ?? "alert");

export const alertKey = alert => `${alertName(alert)} ${alert.provider ?? alert.subject ?? ""}`;

export const alertSays = alert => String(alert.summary ?? alert.what ?? alert.description ?? words(alertName(alert)));

export const isFiring = alert => (alert.state ?? alert.status ?? "firing") !== "resolved";

export const showAlerts = alerts => {
  const list = byId("alerts");
  list.querySelector(":scope > .empty")?.remove();
  if (!alerts?.length) {
    list.replaceChildren(make("li", { class: "empty" }, "None is active."));
    return;
  }
  keyed(list, alerts, alertKey, create, update);
};

const create = alert =>
  make(
    "li",
    { class: "alert" },
    make("div", { class: "alert-head" }, make("h3", {}, alertKey(alert).trim()), badge("degraded")),
    make("p", { class: "alert-since" }),
    make("p", { class: "alert-says" }),
    make("p", { class: "alert-runbook" }),
  );

const update = (element, alert) => {
  const severity = String(alert.severity ?? alert.state ?? "firing");
  setBadge(element.querySelector(".badge"), /crit|page|escal/.test(severity) ? "down" : "degraded", severity);
  const since = instant(alert.since ?? alert.started_at ?? alert.firing_since), line = element.querySelector(".alert-since");
  if (line.dataset.says !== String(since)) {
    line.dataset.says = String(since);
    line.replaceChildren(...(since === null ? [] : sinceWhen(since)));
  }
  setText(element.querySelector(".alert-says"), alertSays(alert));
  setText(element.querySelector(".alert-runbook"), alert.runbook ? `What to do: ${alert.runbook}` : "");
};
