// Missing candles, made visible: a hatched band in the chart where each gap is, and a list of them with their reasons.

import { byId, keyed, make, setText } from "./dom.js";
import { openTime, plural, words } from "./format.js";

const REASONS = {
  before_listing: "before the symbol was listed",
  not_yet_closed: "not closed yet",
  venue_halt: "the exchange stood still",
  absent_upstream: "no upstream has it",
  no_upstream_left: "no upstream could supply it",
};

export const reasonOf = gap => REASONS[gap.reason] ?? words(gap.reason);

/** `binance: connection refused; binance-vision: …` */
export const triedOf = gap => (gap.tried ?? []).map(one => `${one.provider}: ${one.what ?? one.why}`).join("; ");

/** Which of the style's band colours. */
const toneOf = gap => (gap.reason === "no_upstream_left" ? "bad" : gap.reason === "absent_upstream" ? "warn" : "quiet");

// --- in the chart -----------------------------------------------------------------------------------------------------

const WIDTH_MIN = 4, HATCH = 8;

/** A primitive of lightweight-charts: draws beneath the candles, over the whole height. */
export class GapBands {
  #chart = null;
  #update = () => {};
  #bands = [];
  #colours = {};

  attached({ chart, requestUpdate }) {
    [this.#chart, this.#update] = [chart, requestUpdate];
  }

  detached() {
    this.#chart = null;
  }

  /** `bands`: `{ from, to, gap }`, the first and last missing slot in seconds. */
  show(bands, colours) {
    [this.#bands, this.#colours] = [bands, colours];
    this.#update();
  }

  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: target => this.#draw(target) }) }];
  }

  #draw(target) {
    const scale = this.#chart?.timeScale();
    if (!scale) return;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio: ratio }) => {
      for (const { from, to, gap } of this.#bands) {
        const first = scale.timeToIndex(from, true), last = scale.timeToIndex(to, true);
        if (first === null || last === null) continue;
        const begin = scale.logicalToCoordinate(first), end = scale.logicalToCoordinate(last), after = scale.logicalToCoordinate(last + 1);
        if (begin === null || end === null || after === null) continue;
        const half = (after - end) / 2, left = begin - half, right = end + half;
        const spare = Math.max(0, WIDTH_MIN - (right - left)) / 2;
        const x = Math.round((left - spare) * ratio), width = Math.round((right - left + 2 * spare) * ratio);
        if (x + width < 0 || bitmapSize.width < x) continue;
        band(context, x, width, bitmapSize.height, this.#colours[toneOf(gap)], HATCH * ratio);
      }
    });
  }
}

const band = (context, x, width, height, colour, step) => {
  context.save();
  context.beginPath();
  context.rect(x, 0, width, height);
  context.clip();
  context.globalAlpha = 0.13;
  context.fillStyle = colour;
  context.fillRect(x, 0, width, height);
  context.globalAlpha = 0.5;
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1, step / 8);
  context.beginPath();
  for (let offset = -height; offset < width; offset += step) {
    context.moveTo(x + offset, height);
    context.lineTo(x + offset + height, 0);
  }
  context.stroke();
  context.globalAlpha = 0.9;
  context.fillStyle = colour;
  context.fillRect(x, 0, width, Math.max(2, step / 4));
  context.restore();
};

/** The bands of what is missing. */
export const bandsOf = candles =>
  candles
    .shownGaps()
    .map(gap => ({ gap, slots: candles.slots(gap) }))
    .filter(({ slots }) => slots.length)
    .map(({ gap, slots }) => ({ gap, from: slots[0] / 1000, to: slots.at(-1) / 1000 }));

// --- in words ---------------------------------------------------------------------------------------------------------

export const showGaps = candles => {
  const { interval } = candles.series, gaps = candles.shownGaps();
  const told = gaps.map(gap => ({ gap, slots: candles.slots(gap).length })).filter(one => one.slots);
  const missing = told.reduce((sum, one) => sum + one.slots, 0);
  setText(byId("gaps-summary"), told.length ? `${plural(told.length, "gap")}, ${plural(missing, "candle")} missing` : "No gaps");
  byId("gaps").dataset.empty = told.length === 0;
  keyed(
    byId("gaps-list"),
    told.slice(-100).reverse(),
    ({ gap }) => gap.start,
    () => make("li", {}, make("span", { class: "story-range number" }), make("span", { class: "story-what" }), make("span", { class: "story-more" })),
    (element, { gap, slots }) => {
      element.dataset.tone = toneOf(gap);
      setText(element.querySelector(".story-range"), `${openTime(gap.start, interval)} – ${openTime(gap.end, interval)}`);
      setText(element.querySelector(".story-what"), `${plural(slots, "candle")}: ${reasonOf(gap)}${gap.final ? "" : "; may still come"}`);
      setText(element.querySelector(".story-more"), triedOf(gap));
    },
  );
};

export const showSources = candles => {
  const { interval } = candles.series;
  const names = [...new Set(candles.segments.map(segment => segment.provider))];
  setText(byId("sources-summary"), names.length ? `From ${names.join(", ")} (${plural(candles.segments.length, "part")})` : "Sources");
  keyed(
    byId("sources-list"),
    candles.segments.slice(-100).reverse(),
    segment => segment.start,
    () => make("li", {}, make("span", { class: "story-range number" }), make("span", { class: "story-what" })),
    (element, segment) => {
      setText(element.querySelector(".story-range"), `${openTime(segment.start, interval)} – ${openTime(segment.end, interval)}`);
      setText(element.querySelector(".story-what"), sourceOf(segment));
    },
  );
};

/** `binance-vision, from the cache, verified by checksum`. */
export const sourceOf = segment => {
  const via = { cache: "from the cache", upstream: "asked just now" }[segment.via];
  const verified = { checksum: "verified by checksum", structural: "structure verified", unsettled: "may still change" }[segment.verification?.kind];
  return [segment.provider, via, verified].filter(Boolean).join(", ");
};

