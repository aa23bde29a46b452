// The newest price of every watched symbol, and how far each can be trusted.
//
// The state is as large as the number's neighbour deserves: a price that is not live says so in words, with its age.

import { byId, keyed, make, setAttribute, setText } from "./dom.js";
import { instant, percent, price as digits, words } from "./format.js";
import { badge, setBadge } from "./status.js";
import { age } from "./time.js";

export const priceKey = price => `${price.market} ${price.symbol}`;

/** Another instrument's price, however fresh or old it is. */
export const isSubstitute = price => price.nature === "substitute" || price.state === "substitute";

/** What a price is, in one word or a few: an old substitute is both. */
export const wordsOf = price => {
  const word = words(price.state);
  return isSubstitute(price) && price.state !== "substitute" ? `substitute, ${word}` : word;
};

export const asOf = price => instant(price.as_of) ?? instant(price.fetched_at);

/** `prices` and what is missing; `choose(symbol, market)` when one is pressed. */
export const showPrices = (prices, missing, choose) => {
  const strip = byId("prices");
  strip.querySelector(":scope > .empty")?.remove();
  const items = [...prices, ...missing.map(one => ({ ...one, absent: true }))];
  if (items.length === 0) strip.replaceChildren(make("p", { class: "empty" }, "No prices are watched."));
  else keyed(strip, items, priceKey, item => create(item, choose), update);
};

const create = (item, choose) => {
  const element = make(
    "button",
    { type: "button", class: "price" },
    make("span", { class: "price-name" }, make("strong", {}, item.symbol), make("span", { class: "price-market" }, item.market ?? "")),
    make("span", { class: "price-value number" }),
    make("span", { class: "price-change number" }),
    make("span", { class: "price-state" }, badge("unknown"), make("span", { class: "price-age" })),
    make("span", { class: "price-note" }),
  );
  element.addEventListener("click", () => choose(item.symbol, item.market));
  return element;
};

const update = (element, price) => {
  const part = selector => element.querySelector(selector);
  if (price.absent) {
    const why = (price.reasons ?? []).map(reason => `${reason.provider}: ${reason.what}`).join("; ");
    setText(part(".price-value"), "–");
    setText(part(".price-change"), "");
    setBadge(part(".badge"), "failed", price.unknown ? "unknown symbol" : "no price");
    setText(part(".price-note"), why);
    part(".price-age").replaceChildren();
    return;
  }
  setAttribute(element, "data-state", price.state);
  setText(part(".price-value"), digits(price.price));
  setText(part(".price-change"), percent(price.change_percent));
  setAttribute(part(".price-change"), "data-direction", Number(price.change_percent) < 0 ? "down" : "up");
  setBadge(part(".badge"), price.state, wordsOf(price));
  const at = asOf(price), aged = part(".price-age");
  const says = price.state === "live" ? "" : String(at);
  if (aged.dataset.says !== says) {
    aged.dataset.says = says;
    aged.replaceChildren(...(price.state === "live" || at === null ? [] : [age(at), " old"]));
  }
  const note = price.substitute ? `${price.provider}: ${price.substitute}` : (price.halted ?? "");
  setText(part(".price-note"), note);
  setAttribute(element, "title", at === null ? null : `${price.provider}, as of ${new Date(at).toISOString().replace(".000", "")}`);
};

/** Says which one the chart shows. */
export const markChosen = (symbol, market) => {
  for (const element of byId("prices").children) setAttribute(element, "aria-current", element.dataset.key === `${market} ${symbol}` ? "true" : null);
};

