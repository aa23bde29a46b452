// Wires the page: what is asked how often, and who shows the answer.
//
// Health is asked every two seconds and decides everything the page says about itself; what the chart shows comes by the
// stream, and is asked for as well, as the other prices are. Whoever cannot be reached is knocked at until it answers, and
// then everything is asked again. A page that nobody looks at asks rarely and follows nothing.

import { alertKey, isFiring, showAlerts, showWebhooks } from "./alerts.js";
import { ask, knock, listeners } from "./api.js";
import { readonly, showCache } from "./cache.js";
import { Candles } from "./candles.js";
import { Chart } from "./chart.js";
import { byId, letScroll, make, setText } from "./dom.js";
import { compare, known, showEvents } from "./events.js";
import { instant, plural, span, words } from "./format.js";
import { showGaps, showSources } from "./gaps.js";
import { askAgain, startKeyPrompt } from "./key.js";
import { startKeyboard } from "./keyboard.js";
import { showLegend } from "./legend.js";
import { Menu, rangeLength } from "./menu.js";
import { asOf, isSubstitute, markChosen, priceKey, showPrices, wordsOf } from "./prices.js";
import { showProviders } from "./providers.js";
import { showSchedule } from "./schedule.js";
import { badge } from "./status.js";
import { follow } from "./stream.js";
import { startTheme } from "./theme.js";
import { age, learn, now, tickAll } from "./time.js";
import { judge, showVerdict } from "./verdict.js";

const HEALTH_MS = 2_000, HEALTH_HIDDEN_MS = 15_000, CANDLES_MS = 5_000, PRICES_MS = 5_000, PRICES_STREAMED_MS = 10_000, KNOCK_MS = 1_500;
/** More prices are not asked for: nobody reads them at once. */
const PRICES_MAX = 60;

const contact = { lost: false, locked: false, lastAt: null, nextAt: null };
let health = null, scheduler = null, watches = null, stream = null, streaming = false;
let candles = null, loading = null, cursor = null;
const prices = new Map();
let missing = [], downBefore = 0;

// --- contact ----------------------------------------------------------------------------------------------------------

let knocking = false;

listeners.contact = (heard, sent, received) => {
  if (heard) {
    contact.lastAt = received;
    contact.locked = false;
    if (contact.lost) regained();
  } else doubt();
};

const askForKey = startKeyPrompt(() => {
  contact.locked = false;
  everything();
});

listeners.locked = () => {
  contact.locked = true;
  judgeAndShow();
  askForKey();
};

/** A request failed. Slow is not gone: only who does not answer the simplest question is. */
const doubt = async () => {
  if (knocking) return;
  knocking = true;
  while (!(await knock())) {
    if (!contact.lost) lost();
    contact.nextAt = now() + KNOCK_MS;
    judgeAndShow();
    await new Promise(resolve => setTimeout(resolve, KNOCK_MS));
  }
  knocking = false;
  contact.lastAt = Date.now();
  if (contact.lost) regained();
};

const lost = () => {
  contact.lost = true;
  streaming = false;
  document.body.classList.add("lost");
  showContact();
  compare("contact", "lost", "No contact with the daemon", { isWrong: true });
};

const regained = () => {
  contact.lost = false;
  document.body.classList.remove("lost");
  showContact();
  compare("contact", "ok", "The daemon answers again");
  everything();
};

const showContact = () => {
  const line = byId("contact");
  if (contact.lastAt === null) return setText(line, contact.lost ? "no contact yet" : "connecting…");
  const silent = Date.now() - contact.lastAt;
  const says = contact.lost ? `no contact for ${span(silent)}` : silent < 4_000 ? "in contact" : `last contact ${span(silent)} ago`;
  setText(line, `${says}${streaming && !contact.lost ? ", live" : ""}`);
};

// --- health -----------------------------------------------------------------------------------------------------------

const askHealth = async () => {
  const sent = Date.now();
  const [short, long] = await Promise.allSettled([ask("/health"), ask("/health/scheduler")]);
  if (short.status === "fulfilled") {
    health = short.value;
    const at = instant(health.at);
    if (at !== null) learn(at, sent, Date.now());
  }
  if (long.status === "fulfilled") scheduler = long.value;
  if (short.status === "rejected" && long.status === "rejected") return;
  showHealth();
};

const showHealth = () => {
  const providers = scheduler?.providers ?? health?.providers;
  if (providers) showProviders(providers);
  const down = Object.values(providers ?? {}).filter(provider => provider.status !== "ok").length;
  if (down < downBefore) candles?.hope();
  downBefore = down;
  if (scheduler) showSchedule(scheduler);
  if (health) {
    showCache(health.cache);
    showAlerts(health.alerts);
    showWebhooks(health.notifier);
    setText(byId("version"), health.version ? `v${health.version}` : "");
  }
  noteChanges(providers ?? {});
  judgeAndShow();
};

const judgeAndShow = () => {
  // The last contact was noted by this machine's clock; everything shown is by the daemon's.
  const lastAt = contact.lastAt === null ? null : contact.lastAt + (now() - Date.now());
  showVerdict(judge({ contact: { ...contact, lastAt }, health, scheduler, prices: shownPrices() }));
  letScroll();
};

const noteChanges = providers => {
  for (const [name, provider] of Object.entries(providers)) {
    const why = provider.status === "ok" ? "" : `: ${provider.quarantine ?? provider.last_error?.what ?? "no reason given"}`;
    compare(`provider ${name}`, provider.status, `${name} is ${words(provider.status)}${why}`, { since: provider.since, isWrong: provider.status !== "ok" });
  }
  if (health) {
    const why = readonly(health.cache);
    compare("cache", why === null ? "ok" : "degraded", why === null ? "The cache can be written again" : `The cache is read-only: ${why}`, { isWrong: why !== null });
    compare("overall", health.status, `Overall: ${health.status}`, { isWrong: health.status !== "ok" });
    const firing = (health.alerts ?? []).filter(isFiring), names = new Set(firing.map(alert => `alert ${alertKey(alert)}`));
    for (const alert of firing) compare(`alert ${alertKey(alert)}`, "degraded", `Alert: ${alert.summary}`, { since: alert.since, isWrong: true });
    for (const name of known("alert ")) if (!names.has(name)) compare(name, "ok", `Over: ${name}`);
  }
  for (const run of scheduler?.last_run?.runs ?? []) {
    const some = run.status === "ok" ? "all refreshed" : `${run.successful_symbols} of ${run.symbols} symbols refreshed`;
    compare(`run ${run.kind}`, run.status, `Refresh of ${words(run.kind)}: ${some}`, { since: run.completed_at, isWrong: run.status !== "ok" });
  }
};

// --- prices -----------------------------------------------------------------------------------------------------------

const watchedPrices = () => (watches?.prices ?? []).slice(0, PRICES_MAX);

const shownPrices = () => watchedPrices().map(watch => prices.get(priceKey(watch))).filter(Boolean);

const askPrices = async () => {
  const wanted = new Map([...watchedPrices(), ...(menu.choice.symbol ? [menu.choice] : [])].map(one => [priceKey(one), one]));
  const markets = Map.groupBy([...wanted.values()], one => one.market);
  const answers = await Promise.allSettled([...markets].map(([market, all]) => ask("/v1/prices", { market, symbols: all.map(one => one.symbol).join(","), substitutes: "allow" })));
  const given = answers.flatMap((answer, i) => {
    if (answer.status === "fulfilled") return [answer.value];
    // None of them can be had: the reasons are the same for all.
    const { kind, problem, message } = answer.reason, [market, all] = [...markets][i];
    const reasons = problem?.reasons?.length ? problem.reasons : [{ provider: "daemon", what: message }];
    return kind === "refused" ? [{ prices: [], missing: all.map(one => ({ symbol: one.symbol, market, unknown: problem?.status === 404, reasons })) }] : [];
  });
  if (!given.length) return;
  missing = given.flatMap(answer => answer.missing ?? []);
  for (const one of missing) prices.delete(priceKey(one));
  for (const price of given.flatMap(answer => answer.prices ?? [])) keep(price);
  showAllPrices();
};

const keep = price => {
  prices.set(priceKey(price), price);
  if (!watchedPrices().some(watch => priceKey(watch) === priceKey(price))) return;
  const live = price.state === "live";
  const more = price.substitute ? ` (${price.substitute})` : "";
  compare(`price ${priceKey(price)}`, price.state, `${price.symbol} ${price.market}: ${live ? "price is live" : `price is ${wordsOf(price)}${more}`}`, { isWrong: !live });
};

const showAllPrices = () => {
  const watched = new Set(watchedPrices().map(priceKey));
  showPrices(shownPrices(), missing.filter(one => watched.has(priceKey(one))), (symbol, market) => menu.choose({ symbol, market }));
  markChosen(menu.choice.symbol, menu.choice.market);
  chart.showPrice(prices.get(priceKey(menu.choice)) ?? null);
  showBadges();
  judgeAndShow();
};

// --- candles ----------------------------------------------------------------------------------------------------------

const moved = time => {
  cursor = time;
  if (candles) showLegend(candles, time, chart.decimals);
};

const chart = new Chart(byId("chart"), moved);

const chosen = choice => {
  setText(byId("market-title"), `${choice.symbol} ${choice.market}`);
  markChosen(choice.symbol, choice.market);
  loading?.abort();
  loading = new AbortController();
  const series = { symbol: choice.symbol, market: choice.market, interval: choice.interval };
  const wanted = new Candles(series, rangeLength(choice.range));
  byId("chart").setAttribute("aria-busy", "true");
  load(wanted, loading.signal);
  listen(series);
  askPrices();
};

const load = async (wanted, signal) => {
  try {
    await wanted.load(now(), signal);
  } catch (failure) {
    if (failure.kind === "given up") return;
    wanted.refusal = { message: failure.message, reasons: [] };
  }
  candles = wanted;
  cursor = null;
  byId("chart").removeAttribute("aria-busy");
  if (wanted.rows.size || wanted.gaps.length) draw({ fit: true });
  else chart.clear();
  tellOfCandles();
};

const followCandles = async () => {
  const followed = candles;
  if (!followed || contact.lost || contact.locked) return;
  const isFirst = followed.rows.size === 0;
  try {
    await (isFirst ? followed.load(now()) : followed.follow(now()));
  } catch {
    return;
  }
  if (candles !== followed) return;
  if (followed.rows.size || followed.gaps.length) draw({ fit: isFirst && followed.rows.size > 0 });
  tellOfCandles();
};

const draw = how => {
  chart.show(candles, how);
  chart.showPrice(prices.get(priceKey(menu.choice)) ?? null);
};

const tellOfCandles = () => {
  showGaps(candles);
  showSources(candles);
  showLegend(candles, cursor, chart.decimals);
  showBadges();
  const note = byId("chart-note"), { refusal } = candles;
  const tried = (refusal?.reasons ?? []).map(reason => `${reason.provider}: ${reason.what}`).join("; ");
  note.hidden = !refusal && !candles.notices.length;
  setText(note, refusal ? [refusal.message, tried].filter(Boolean).join(" ") : candles.notices.join(" "));
};

const showBadges = () => {
  const badges = [], price = prices.get(priceKey(menu.choice));
  if (price && isSubstitute(price)) badges.push(["substitute", `SUBSTITUTE: ${price.substitute ?? price.provider}`]);
  if (price && !["live", "substitute"].includes(price.state)) badges.push([price.state, wordsOf(price), asOf(price)]);
  const gone = candles?.missing() ?? 0;
  if (gone) badges.push(["degraded", `${plural(gone, "candle")} missing`]);
  const line = byId("chart-badges"), says = JSON.stringify(badges);
  if (line.dataset.says === says) return;
  line.dataset.says = says;
  line.replaceChildren(
    ...badges.map(([state, text, since]) => {
      const element = badge(state, text);
      if (since) element.append(make("span", {}, " price, ", age(since), " old"));
      return element;
    }),
  );
};

// --- stream -----------------------------------------------------------------------------------------------------------

/** One stream per page, for what the chart shows: browsers keep few connections, and following costs upstreams' limits. */
const listen = ({ symbol, interval, market }) => {
  stream?.stop();
  streaming = false;
  if (document.hidden) return;
  stream = follow(
    { symbols: symbol, interval, market, events: "candle,price,provider,run" },
    {
      open: () => (streaming = true),
      closed: () => {
        if (streaming) askHealth();
        streaming = false;
      },
      event: (name, data) => happened(name, data),
    },
  );
};

const happened = (name, data) => {
  contact.lastAt = Date.now();
  if (name === "price") {
    missing = missing.filter(one => priceKey(one) !== priceKey(data));
    if (data.price === null) {
      prices.delete(priceKey(data));
      missing.push(data);
    } else keep(data);
    showAllPrices();
  } else if (name === "candle") {
    const { symbol, market, interval } = candles?.series ?? {}, of = data.series;
    if (of.symbol !== symbol || of.market !== market || of.interval !== interval) return;
    candles.add(data);
    draw();
    tellOfCandles();
  } else if (name === "gap") followCandles();
  else if (name === "provider") {
    askHealth();
    // The other prices are asked for rarely, and none may be called live for long that is not.
    askPrices();
  } else if (name === "run") askHealth();
  else if (name === "reset") everything();
};

// --- the rest ---------------------------------------------------------------------------------------------------------

const menu = new Menu(chosen);

const askWatches = async () => {
  try {
    watches = await ask("/v1/watches");
  } catch (failure) {
    if (failure.kind !== "refused") return;
    watches = { klines: [], prices: [] };
  }
  menu.offer(watches);
};

const everything = async () => {
  await askHealth();
  if (!watches) await askWatches();
  await Promise.allSettled([askPrices(), followCandles()]);
};

/** Does it, waits, and again; one at a time. */
const repeat = async (act, wait) => {
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, wait()));
    try {
      await act();
    } catch (error) {
      reportError(error);
    }
  }
};

const cycle = startTheme(() => chart.paint());
startKeyboard([
  [["1", "2", "3", "4", "5", "6", "7"], "range, from 1 hour to 1 year", n => menu.range(n)],
  [["[", "]"], "previous, next symbol", n => menu.step("symbol", n ? 1 : -1)],
  [[",", "."], "shorter, longer interval", n => menu.step("interval", n ? 1 : -1)],
  [["/"], "another symbol", () => byId("other-symbol").focus()],
  [["c"], "to the chart", () => byId("chart").focus()],
  [["w"], "to what is wrong", () => byId("verdict").focus()],
  [["t"], "light, dark or as the system", cycle],
  [["k"], "give the API key", () => { askAgain(); if (contact.locked) askForKey(); }],
]);
showEvents();
setInterval(() => { tickAll(); showContact(); letScroll(); }, 1_000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.stop();
    streaming = false;
  } else {
    if (menu.choice.symbol) listen(menu.choice);
    everything();
  }
});
addEventListener("offline", doubt);
await everything();
const calm = (often, rarely) => () => (document.hidden ? HEALTH_HIDDEN_MS : streaming ? rarely : often);
repeat(async () => { if (!contact.lost && !contact.locked) await askHealth(); if (!watches && !contact.lost && !contact.locked) await askWatches(); }, () => (document.hidden ? HEALTH_HIDDEN_MS : HEALTH_MS));
repeat(async () => { if (!document.hidden && !contact.lost && !contact.locked) await askPrices(); }, calm(PRICES_MS, PRICES_STREAMED_MS));
repeat(async () => { if (!document.hidden) await followCandles(); }, () => CANDLES_MS);
