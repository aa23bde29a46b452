// The picture: candles and volume by lightweight-charts, bands where candles are missing, a dashed line where the price
// is not live, a hollow body for the candle that still forms.
//
// The library draws; what is drawn is decided in candles.js. Missing slots are in its data as empty points, so that a
// gap is as wide as the time it lasts instead of vanishing between its neighbours.

import { CandlestickSeries, CrosshairMode, HistogramSeries, LineStyle, createChart } from "./vendor/lightweight-charts-5.2.1.js";
import { isForming } from "./candles.js";
import { clock, day, decimals, price, span, words } from "./format.js";
import { GapBands, bandsOf } from "./gaps.js";
import { asOf, isSubstitute, wordsOf } from "./prices.js";
import { now } from "./time.js";

export class Chart {
  #chart;
  #bars;
  #volume;
  #bands = new GapBands();
  #line = null;
  #close = null;
  #candles = null;
  #rows = [];
  #cursor = null;
  #colours = {};
  decimals = 2;

  /** `moved(time)`: the crosshair stands on this candle, in milliseconds; null when nowhere. */
  constructor(element, moved) {
    this.#chart = createChart(element, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 12 },
      localization: { timeFormatter: time => `${day(time * 1000)} ${clock(time * 1000).slice(0, 5)} UTC`, priceFormatter: value => price(value.toFixed(this.decimals)) },
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { timeVisible: true, secondsVisible: false, minBarSpacing: 0.02, rightOffset: 2, borderVisible: false },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.26 } },
    });
    this.#bars = this.#chart.addSeries(CandlestickSeries, { priceLineVisible: false, lastValueVisible: false });
    this.#volume = this.#chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.#chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.8, bottom: 0 } });
    this.#bars.attachPrimitive(this.#bands);
    this.#chart.subscribeCrosshairMove(({ time, point }) => {
      if (!point) this.#cursor = null;
      moved(time === undefined ? null : time * 1000);
    });
    element.addEventListener("keydown", event => this.#key(event, moved));
    element.addEventListener("blur", () => (this.#chart.clearCrosshairPosition(), moved(null)));
  }

  /** Draws these; with `fit`, all of them in sight. */
  show(candles, { fit = false } = {}) {
    const rows = candles.sorted(), time = now(), colours = this.#colours;
    [this.#candles, this.#rows] = [candles, rows];
    this.decimals = decimals(rows.slice(-300).flatMap(row => [row.open, row.high, row.low, row.close]));
    const empty = candles.shownGaps().flatMap(gap => candles.slots(gap)).map(slot => ({ time: slot / 1000 }));
    const bars = rows.map(row => ({ time: row.open_time / 1000, open: Number(row.open), high: Number(row.high), low: Number(row.low), close: Number(row.close), ...(isForming(row, time) ? hollow(row, colours) : {}) }));
    const volumes = rows.map(row => ({ time: row.open_time / 1000, value: Number(row.volume), color: Number(row.close) < Number(row.open) ? colours.volumeDown : colours.volumeUp }));
    const all = empty.length ? [...bars, ...empty].sort((a, b) => a.time - b.time) : bars;
    this.#bars.applyOptions({ priceFormat: { type: "price", precision: this.decimals, minMove: 10 ** -this.decimals } });
    this.#chart.timeScale().applyOptions({ secondsVisible: candles.series.interval.endsWith("s"), timeVisible: !/[dwM]$/.test(candles.series.interval) });
    this.#bars.setData(all);
    this.#volume.setData(volumes);
    this.#bands.show(bandsOf(candles), colours);
    this.#showClose(rows.at(-1));
    // The library's own way of fitting ends at the last candle, and a gap at the end is what must be seen.
    if (fit && all.length) this.#chart.timeScale().setVisibleLogicalRange({ from: -0.5, to: all.length + 1 });
  }

  /** Where the newest candle stands. Our own line, because the library's takes a hollow candle's colour: none. */
  #showClose(row) {
    if (!row) return;
    const options = { price: Number(row.close), color: Number(row.close) < Number(row.open) ? this.#colours.down : this.#colours.up };
    if (this.#close) this.#close.applyOptions(options);
    else this.#close = this.#bars.createPriceLine({ ...options, lineStyle: LineStyle.Dotted, lineWidth: 1, axisLabelVisible: true, title: "" });
  }

  /** A line for the newest price, when it is not the last candle's: dashed, and labelled with what it is. */
  showPrice(price) {
    const label = price && price.state !== "live" ? lineLabel(price) : null;
    if (this.#line && (!label || this.#line.key !== `${label} ${price.price}`)) {
      this.#bars.removePriceLine(this.#line.line);
      this.#line = null;
    }
    if (!label || this.#line) return;
    const line = this.#bars.createPriceLine({ price: Number(price.price), color: this.#colours.warn, lineStyle: LineStyle.Dashed, lineWidth: 2, axisLabelVisible: true, title: label });
    this.#line = { line, key: `${label} ${price.price}` };
  }

  /** Takes its colours from the style sheet's variables. */
  paint() {
    const colour = name => resolved(`var(--${name})`), sans = getComputedStyle(document.body).fontFamily;
    this.#colours = { up: colour("up"), down: colour("down"), volumeUp: colour("volume-up"), volumeDown: colour("volume-down"), bad: colour("bad"), warn: colour("warn"), quiet: colour("muted") };
    const { up, down } = this.#colours;
    this.#chart.applyOptions({
      layout: { background: { color: colour("surface") }, textColor: colour("muted"), fontFamily: sans },
      grid: { vertLines: { color: colour("grid") }, horzLines: { color: colour("grid") } },
      crosshair: { vertLine: { color: colour("muted"), labelBackgroundColor: colour("ink-soft") }, horzLine: { color: colour("muted"), labelBackgroundColor: colour("ink-soft") } },
    });
    this.#bars.applyOptions({ upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down });
    if (this.#candles) this.show(this.#candles);
    if (this.#line) this.#bars.removePriceLine(this.#line.line);
    this.#line = null;
  }

  clear() {
    [this.#candles, this.#rows] = [null, []];
    if (this.#close) this.#bars.removePriceLine(this.#close);
    this.#close = null;
    this.#bars.setData([]);
    this.#volume.setData([]);
    this.#bands.show([], this.#colours);
  }

  #key(event, moved) {
    const last = this.#rows.length - 1;
    if (last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#cursor ?? last, far = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: at - far, ArrowRight: at + far, Home: 0, End: last, Escape: null }[event.key];
    const zoom = { "+": 0.8, "=": 0.8, "-": 1.25 }[event.key];
    if (to === undefined && zoom === undefined) return;
    event.preventDefault();
    if (zoom) return this.#zoom(zoom);
    if (to === null) {
      this.#cursor = null;
      this.#chart.clearCrosshairPosition();
      return moved(null);
    }
    this.#cursor = Math.max(0, Math.min(last, to));
    const row = this.#rows[this.#cursor];
    this.#reveal(row.open_time / 1000);
    this.#chart.setCrosshairPosition(Number(row.close), row.open_time / 1000, this.#bars);
    moved(row.open_time);
  }

  #zoom(by) {
    const scale = this.#chart.timeScale(), range = scale.getVisibleLogicalRange();
    if (!range) return;
    const middle = (range.from + range.to) / 2, half = Math.max(5, ((range.to - range.from) / 2) * by);
    scale.setVisibleLogicalRange({ from: middle - half, to: middle + half });
  }

  #reveal(time) {
    const scale = this.#chart.timeScale(), range = scale.getVisibleLogicalRange(), index = scale.timeToIndex(time, true);
    if (!range || index === null || (range.from <= index && index <= range.to)) return;
    const width = range.to - range.from, from = index < range.from ? index : index - width;
    scale.setVisibleLogicalRange({ from, to: from + width });
  }
}

/** A colour of the style sheet as the library understands it: the browser's own reckoning, which is `rgb(…)`. */
const resolved = colour => {
  const probe = document.createElement("span");
  probe.style.color = colour;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
};

const hollow = (row, colours) => {
  const colour = Number(row.close) < Number(row.open) ? colours.down : colours.up;
  return { color: "rgba(0, 0, 0, 0)", borderColor: colour, wickColor: colour };
};

const lineLabel = price => {
  if (price.state === "substitute") return `SUBSTITUTE ${price.provider}`;
  const at = asOf(price), name = isSubstitute(price) ? `SUBSTITUTE ${price.provider}, ${words(price.state)}` : wordsOf(price);
  return at === null ? name : `${name}, ${coarse(now() - at)}`;
};

/** Minutes are enough on a line; seconds would redraw it all the time. */
const coarse = age => (age < 60_000 ? "under a minute" : span(Math.floor(age / 60_000) * 60_000));
