// The line above the chart: the candle under the crosshair, or the newest; its values, and whose they are.

import { byId, make, setText } from "./dom.js";
import { amount, openTime, percent, price } from "./format.js";
import { isForming } from "./candles.js";
import { reasonOf, sourceOf, triedOf } from "./gaps.js";
import { now } from "./time.js";

const NAMES = [["open", "O"], ["high", "H"], ["low", "L"], ["close", "C"]];

/** `time` in milliseconds; null is the newest candle. `decimals` is how many the series is printed with. */
export const showLegend = (candles, time, decimals) => {
  const line = byId("legend");
  const row = time === null ? candles?.last() : candles?.at(time);
  const gap = candles && time !== null && !row ? candles.gapAt(time) : null;
  if (gap) return missing(line, gap, time, candles.series.interval);
  if (!row) {
    line.dataset.time = "";
    return setText(line, candles?.refusal ? "" : "No candle here.");
  }
  const forming = isForming(row, now());
  const direction = Number(row.close) < Number(row.open) ? "down" : "up";
  const printed = value => price(Number(value).toFixed(decimals));
  const segment = candles.segmentAt(row.open_time);
  line.dataset.time = new Date(row.open_time).toISOString();
  for (const [name] of NAMES) line.dataset[name] = row[name];
  line.dataset.volume = row.volume;
  line.replaceChildren(
    make("span", { class: "legend-time number" }, `${openTime(row.open_time, candles.series.interval)} UTC`),
    ...NAMES.map(([name, letter]) => pair(letter, printed(row[name]), direction)),
    pair("V", amount(row.volume), null),
    make("span", { class: "number", "data-direction": direction }, percent(Number(row.open) ? (100 * (row.close - row.open)) / row.open : null)),
    make("span", { class: "legend-source" }, [forming ? "still forming" : null, segment ? sourceOf(segment) : null].filter(Boolean).join("; ")),
  );
};

const pair = (letter, value, direction) =>
  make("span", { class: "legend-pair" }, make("span", { class: "legend-name" }, letter), make("span", { class: "number", "data-direction": direction }, value));

const missing = (line, gap, time, interval) => {
  line.dataset.time = "";
  line.replaceChildren(
    make("span", { class: "legend-time number" }, `${openTime(time, interval)} UTC`),
    make("strong", { class: "legend-missing" }, `Missing: ${reasonOf(gap)}`),
    make("span", { class: "legend-source" }, triedOf(gap)),
  );
};
