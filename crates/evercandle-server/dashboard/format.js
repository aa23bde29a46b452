// How things are written: times, ages, prices, sizes, and the words of the interface's vocabulary.
//
// All times are UTC. Upstreams' text passes through untouched: whoever shows it sets it as text, never as markup.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

/** Milliseconds of an RFC 3339 string or of a number of milliseconds; null if it is neither. */
export const instant = value => {
  if (typeof value === "number") return value;
  const parsed = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
};

const two = number => String(number).padStart(2, "0");

export const day = at => new Date(at).toISOString().slice(0, 10);

export const clock = at => new Date(at).toISOString().slice(11, 19);

/** `03:02:11 UTC`, with the date when it is not today's. */
export const moment = (at, now) => (day(at) === day(now) ? `${clock(at)} UTC` : `${day(at)} ${clock(at)} UTC`);

/** When a candle opens: as precise as its interval. */
export const openTime = (at, interval) =>
  /[dwM]$/.test(interval) ? day(at) : `${day(at)} ${interval.endsWith("s") ? clock(at) : clock(at).slice(0, 5)}`;

/** `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export const span = milliseconds => {
  const length = Math.max(0, Math.round(milliseconds / SECOND) * SECOND);
  if (length < MINUTE) return `${length / SECOND} s`;
  const [unit, big, next, small] =
    length < HOUR ? [MINUTE, "min", SECOND, "s"] : length < DAY ? [HOUR, "h", MINUTE, "min"] : [DAY, "d", HOUR, "h"];
  const rest = Math.floor((length % unit) / next);
  return `${Math.floor(length / unit)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
};

/** `0:23`, `12:05`, `1:02:03`. */
export const countdown = milliseconds => {
  const seconds = Math.max(0, Math.ceil(milliseconds / SECOND));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
};

/** Digits grouped by thousands; the digits themselves as they came, without zeros that say nothing. More than eight of a
    fraction are no exchange's but of somebody's arithmetic, and are rounded to what can be read. */
export const price = value => {
  if (value === null || value === undefined || value === "") return "–";
  const number = Number(value), isComputed = /\.\d{9}/.test(String(value)) && Math.abs(number) >= 1;
  const [whole, fraction] = (isComputed ? number.toFixed(4) : String(value)).replace(/(\.\d\d\d*?)0+$/, "$1").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
};

/** How many decimals a series is printed with: the most that any of these needs. */
export const decimals = values => {
  let most = 0;
  for (const value of values) {
    const text = String(value), point = text.indexOf(".");
    if (text.includes("e-")) return 8;
    if (point >= 0) most = Math.max(most, text.length - point - 1);
  }
  return Math.min(most, 8);
};

export const amount = value => {
  const number = Number(value);
  if (!Number.isFinite(number)) return "–";
  return number.toLocaleString("en-US", { maximumFractionDigits: number < 1000 ? 3 : 0, notation: number < 1e7 ? "standard" : "compact" });
};

export const count = value => (Number.isFinite(Number(value)) ? Number(value).toLocaleString("en-US") : "–");

export const percent = value => {
  const number = Number(value);
  if (value === null || value === undefined || !Number.isFinite(number)) return "";
  return `${number > 0 ? "+" : number < 0 ? "\u2212" : ""}${Math.abs(number).toFixed(2)} %`;
};

export const bytes = value => {
  const number = Number(value);
  if (!Number.isFinite(number)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = number < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(number) / 10));
  const scaled = number / 1024 ** power;
  return `${scaled.toFixed(power && scaled < 100 ? 1 : 0)} ${units[power]}`;
};

export const seconds = value => {
  const number = Number(value);
  if (value === null || value === undefined || !Number.isFinite(number)) return "–";
  return number < 1 ? `${Math.round(number * 1000)} ms` : `${number.toFixed(number < 10 ? 1 : 0)} s`;
};

export const words = text => String(text ?? "").replaceAll("_", " ");

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** How long an interval is; a month is told by the calendar instead. */
export const lengthOf = interval => {
  const unit = { s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY }[interval.slice(-1)];
  return unit ? Number(interval.slice(0, -1)) * unit : null;
};

/** The open time after this one. */
export const nextOpen = (at, interval) => {
  const length = lengthOf(interval);
  if (length) return at + length;
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
};
