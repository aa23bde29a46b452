// The candles of one series in one range, with their story: which slots are missing and why, and who supplied the rest.
//
// Nothing is filled in: a slot without a candle stays empty and has a gap with a reason. When the daemon refuses to
// answer at all, what was fetched before stays, and the slots since then are a gap whose reason is its refusal.

import { ask } from "./api.js";
import { instant, lengthOf, nextOpen } from "./format.js";

/** More than this is not drawn: choose a longer interval. */
export const CANDLES_MAX = 50_000;
/** A look at the newest candles goes back this many slots: the cache has most of them, and a gap is seen whole. */
const TAIL = 60;
/** While something is missing that may still come, all of the range is asked for again this often. */
const WHOLE_MS = 10_000;
const COLUMNS = "open_time,open,high,low,close,volume,close_time";

/** Reasons that are nobody's failure. */
const EXPECTED = new Set(["before_listing", "not_yet_closed"]);

export class Candles {
  #wholeAt = 0;

  constructor(series, length) {
    this.series = series;
    this.length = length;
    this.rows = new Map();
    this.gaps = [];
    this.segments = [];
    this.refusal = null;
    this.notices = [];
  }

  /** Everything of the range up to `now`. */
  async load(now, signal) {
    this.#wholeAt = now;
    await this.#fetch(this.#aligned(now - this.length), now, signal);
  }

  /** Somebody answers again: what is missing may be had now. */
  hope() {
    this.#wholeAt = 0;
  }

  /** The newest ones again: closed since, still forming, missing since. And all of them, if there are older gaps. */
  async follow(now, signal) {
    const mayCome = this.gaps.some(gap => !gap.final && gap.reason !== "not_yet_closed");
    if (mayCome && WHOLE_MS <= now - this.#wholeAt) return this.load(now, signal);
    const last = this.last();
    const step = lengthOf(this.series.interval) ?? 31 * 86_400_000;
    const from = this.#aligned(Math.max(now - this.length, Math.min(last?.open_time ?? now, now) - TAIL * step));
    await this.#fetch(from, now, signal);
    const oldest = this.#aligned(now - this.length);
    for (const time of this.rows.keys()) if (time < oldest) this.rows.delete(time);
    this.gaps = this.gaps.filter(gap => gap.end > oldest);
    this.segments = this.segments.filter(segment => segment.end > oldest);
  }

  /** A candle that closed, told by the stream. */
  add(event) {
    const row = rowOf(event.kline);
    if (!row) return;
    this.rows.set(row.open_time, row);
    const end = nextOpen(row.open_time, this.series.interval);
    this.gaps = without(this.gaps, row.open_time, end);
    this.segments = [...without(this.segments, row.open_time, end), { start: row.open_time, end, provider: event.provider, via: event.via, verification: null, fetched_at: null }].sort(byStart);
  }

  async #fetch(start, now, signal) {
    const end = nextOpen(this.#aligned(now), this.series.interval);
    let answer;
    try {
      answer = await ask(
        "/v1/klines",
        { ...this.series, start: new Date(start).toISOString(), end: new Date(end).toISOString(), completeness: "best_effort", forming: true, time: "ms", columns: COLUMNS },
        { signal, patience: 60_000 },
      );
    } catch (failure) {
      if (failure.kind !== "refused") throw failure;
      this.refusal = { message: failure.message, reasons: failure.problem?.reasons ?? [], status: failure.problem?.status ?? 0 };
      this.#missSince(start, now);
      return;
    }
    this.refusal = null;
    this.notices = answer.notices ?? [];
    for (const time of this.rows.keys()) if (start <= time && time < end) this.rows.delete(time);
    for (const row of answer.klines.map(rowOf)) if (row) this.rows.set(row.open_time, row);
    const told = one => ({ ...one, start: instant(one.start), end: instant(one.end) });
    this.gaps = joined([...without(this.gaps, start, end), ...answer.gaps.map(told)].sort(byStart), sameGap);
    this.segments = joined([...without(this.segments, start, end), ...answer.segments.map(told)].sort(byStart), sameOrigin);
  }

  /** The daemon has no answer: closed slots since the last candle are missing, for the reasons it gave. */
  #missSince(start, now) {
    const last = this.last();
    if (!last) return;
    const from = nextOpen(last.open_time, this.series.interval), end = this.#aligned(now);
    if (end <= from) return;
    const tried = this.refusal.reasons;
    this.gaps = [...without(this.gaps, from, Infinity), { start: from, end, reason: "no_upstream_left", final: false, tried }].sort(byStart);
  }

  #aligned(at) {
    const { interval } = this.series, length = lengthOf(interval);
    if (!length) return Date.UTC(new Date(at).getUTCFullYear(), new Date(at).getUTCMonth(), 1);
    // Weeks begin on Monday; 1970 began on a Thursday.
    const origin = interval.endsWith("w") ? 4 * 86_400_000 : 0;
    return Math.floor((at - origin) / length) * length + origin;
  }

  /** Sorted by time. */
  sorted() {
    return [...this.rows.values()].sort((a, b) => a.open_time - b.open_time);
  }

  last() {
    let last = null;
    for (const row of this.rows.values()) if (!last || row.open_time > last.open_time) last = row;
    return last;
  }

  at(time) {
    return this.rows.get(time) ?? null;
  }

  gapAt(time) {
    return this.shownGaps().find(gap => gap.start <= time && time < gap.end) ?? null;
  }

  segmentAt(time) {
    return this.segments.find(segment => segment.start <= time && time < segment.end) ?? null;
  }

  /** What is missing and should not be: a slot that has not closed yet is not missing. */
  shownGaps() {
    return this.gaps.filter(gap => gap.reason !== "not_yet_closed");
  }

  /** Missing slots that are somebody's failure. */
  missing() {
    return this.gaps.filter(gap => !EXPECTED.has(gap.reason)).reduce((sum, gap) => sum + this.slots(gap).length, 0);
  }

  /** The open times of a gap's slots. */
  slots(gap) {
    const slots = [];
    for (let time = this.#aligned(gap.start); time < gap.end && slots.length < CANDLES_MAX; time = nextOpen(time, this.series.interval)) {
      if (gap.start <= time && !this.rows.has(time)) slots.push(time);
    }
    return slots;
  }
}

/** A candle that may still change. */
export const isForming = (row, now) => row.close_time !== null && row.close_time > now;

const rowOf = kline => {
  if (!kline) return null;
  const row = { open_time: instant(kline.open_time), close_time: instant(kline.close_time) };
  for (const name of ["open", "high", "low", "close", "volume"]) row[name] = kline[name];
  return row.open_time === null ? null : row;
};

const byStart = (a, b) => a.start - b.start;

/** What of these ranges lies outside `start..end`. */
const without = (ranges, start, end) =>
  ranges.flatMap(range => {
    const parts = [];
    if (range.start < start) parts.push({ ...range, end: Math.min(range.end, start) });
    if (end < range.end) parts.push({ ...range, start: Math.max(range.start, end) });
    return parts;
  });

/** Neighbours that say the same become one. */
const joined = (ranges, same) =>
  ranges.reduce((all, range) => {
    const before = all.at(-1);
    if (before && before.end === range.start && same(before, range)) all[all.length - 1] = { ...before, end: range.end };
    else all.push(range);
    return all;
  }, []);

const sameGap = (a, b) => a.reason === b.reason && JSON.stringify(a.tried) === JSON.stringify(b.tried);

const sameOrigin = (a, b) => a.provider === b.provider && a.via === b.via && a.verification?.kind === b.verification?.kind;
