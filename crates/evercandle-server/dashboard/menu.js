// Which series is looked at: watched symbols, intervals and ranges as radio buttons, which arrow keys move through by
// themselves, and a field for any other symbol. The choice is in the address, so that it can be kept and sent.

import { byId, make } from "./dom.js";
import { lengthOf } from "./format.js";
import { CANDLES_MAX } from "./candles.js";

const INTERVALS = ["1m", "5m", "15m", "1h", "4h", "1d", "1w"];
const RANGES = ["1h", "6h", "1d", "7d", "30d", "90d", "1y"];
/** More symbols than this become a list to choose from. */
const BUTTONS_MAX = 8;
/** A range is worth choosing from here. */
const CANDLES_MIN = 4, CANDLES_USUAL = 300;

export const rangeLength = range => (range.endsWith("y") ? Number(range.slice(0, -1)) * 365 * 86_400_000 : lengthOf(range));

export class Menu {
  #changed;
  #symbols = [];
  #intervals = INTERVALS;
  choice = fromAddress();

  constructor(changed) {
    this.#changed = changed;
    byId("menu").addEventListener("change", event => this.#picked(event.target));
    byId("other").addEventListener("submit", event => {
      event.preventDefault();
      const symbol = byId("other-symbol").value.trim();
      if (symbol) this.choose({ symbol: symbol.toUpperCase(), market: byId("other-market").value });
    });
    addEventListener("hashchange", () => {
      const wanted = fromAddress();
      if (wanted.symbol && address(wanted) !== address(this.choice)) this.choose(wanted);
    });
  }

  /** What is watched: klines first, then symbols of which only the price is. */
  offer(watches) {
    const all = [...(watches.klines ?? []), ...(watches.prices ?? [])];
    const symbols = new Map(all.map(watch => [`${watch.market} ${watch.symbol}`, { symbol: watch.symbol, market: watch.market }]));
    this.#symbols = [...symbols.values()];
    const known = new Set([...INTERVALS, ...(watches.klines ?? []).map(watch => watch.interval)]);
    this.#intervals = [...known].sort((a, b) => (lengthOf(a) ?? 30 * 86_400_000) - (lengthOf(b) ?? 30 * 86_400_000));
    const first = watches.klines?.[0] ?? watches.prices?.[0];
    this.choose({ symbol: first?.symbol ?? "BTCUSDT", market: first?.market ?? "spot", interval: first?.interval ?? "1m", ...strip(this.choice) });
  }

  choose(change) {
    const wanted = { ...this.choice, ...change };
    if (!isPossible(wanted.range, wanted.interval)) wanted.range = usualRange(wanted.interval);
    const before = address(this.choice);
    this.choice = wanted;
    if (!this.#symbols.some(one => same(one, wanted))) this.#symbols = [...this.#symbols, { symbol: wanted.symbol, market: wanted.market }];
    this.#render();
    history.replaceState(null, "", `#${address(wanted)}`);
    if (before !== address(wanted) || !this.shown) this.#changed(wanted);
    this.shown = true;
  }

  /** The next or previous symbol or interval, for shortcuts. */
  step(what, by) {
    const list = what === "symbol" ? this.#symbols : this.#intervals;
    const at = list.findIndex(one => (what === "symbol" ? same(one, this.choice) : one === this.choice.interval));
    const next = list[(at + by + list.length) % list.length];
    this.choose(what === "symbol" ? next : { interval: next });
  }

  /** The n-th possible range, from 0. */
  range(n) {
    const range = RANGES[n];
    if (range && isPossible(range, this.choice.interval)) this.choose({ range });
  }

  #picked(input) {
    if (input.name === "watched") {
      const [market, symbol] = input.value.split(" ");
      this.choose({ symbol, market });
    } else if (input.name === "interval" || input.name === "range") this.choose({ [input.name]: input.value });
  }

  #render() {
    const { choice } = this;
    const single = this.#symbols.every(one => one.market === this.#symbols[0].market);
    const symbols = this.#symbols.map(one => ({ value: `${one.market} ${one.symbol}`, says: single ? one.symbol : `${one.symbol} ${one.market}`, checked: same(one, choice) }));
    if (symbols.length > BUTTONS_MAX) select(byId("choose-symbol"), "watched", symbols);
    else radios(byId("choose-symbol"), "watched", symbols);
    radios(byId("choose-interval"), "interval", this.#intervals.map(value => ({ value, says: value, checked: value === choice.interval })));
    radios(byId("choose-range"), "range", RANGES.map(value => ({ value, says: value, checked: value === choice.range, disabled: !isPossible(value, choice.interval) })));
  }
}

const radios = (fieldset, name, options) => {
  const wanted = options.map(option => option.value).join();
  if (fieldset.dataset.options !== wanted) {
    fieldset.dataset.options = wanted;
    const labels = options.map(option => make("label", {}, make("input", { type: "radio", name, value: option.value }), make("span", {}, option.says)));
    fieldset.replaceChildren(fieldset.querySelector("legend"), ...labels);
  }
  fieldset.querySelectorAll("input").forEach((input, i) => {
    input.checked = options[i].checked;
    input.disabled = options[i].disabled ?? false;
    input.parentElement.title = input.disabled ? "Too many or too few candles at this interval" : "";
  });
};

const select = (fieldset, name, options) => {
  const wanted = options.map(option => option.value).join();
  if (fieldset.dataset.options !== wanted) {
    fieldset.dataset.options = wanted;
    const list = make("select", { name, "aria-label": "Symbol" }, ...options.map(option => make("option", { value: option.value }, option.says)));
    fieldset.replaceChildren(fieldset.querySelector("legend"), list);
  }
  fieldset.querySelector("select").value = options.find(option => option.checked)?.value;
};

const same = (a, b) => a.symbol === b.symbol && a.market === b.market;

const candlesOf = (range, interval) => rangeLength(range) / (lengthOf(interval) ?? 30 * 86_400_000);

const isPossible = (range, interval) => {
  if (!RANGES.includes(range)) return false;
  const candles = candlesOf(range, interval);
  return CANDLES_MIN <= candles && candles <= CANDLES_MAX;
};

const usualRange = interval => RANGES.filter(range => isPossible(range, interval)).find(range => CANDLES_USUAL <= candlesOf(range, interval)) ?? RANGES.at(-1);

const address = choice => [choice.symbol, choice.market, choice.interval, choice.range].map(part => encodeURIComponent(part ?? "")).join("/");

const strip = choice => Object.fromEntries(Object.entries(choice).filter(([, value]) => value));

function fromAddress() {
  const parts = location.hash.slice(1).split("/").map(decode);
  if (parts.length !== 4) return {};
  const [symbol, market, interval, range] = parts;
  return { symbol, market, interval, range };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
