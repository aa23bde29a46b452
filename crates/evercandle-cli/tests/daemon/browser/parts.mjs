// Goal: the parts that decide what is shown, by tables: how a stream is read however it is cut, how things are written,
// what is kept of two answers about overlapping ranges, the verdict, and alerts.

import { DAEMON, assert, open, play } from "./stage.mjs";

await play({}, async ({ page, wrong }) => {
  await page.goto(`${DAEMON}/dashboard/icon.svg`);
  const inPage = (run, argument) => page.evaluate(run, argument);

  // --- a stream, cut everywhere it can be cut ---
  const told = ": hello\r\n\r\nid: 7\nevent: price\ndata: {\"a\":\ndata: 1}\n\nevent: run\ndata: not json\n\ndata:{\"b\":2}\nid: 8\n\nevent: open";
  const expected = [{ name: "price", data: { a: 1 }, id: "7" }, { name: "message", data: { b: 2 }, id: "8" }];
  const cuts = await inPage(async text => {
    const { parser } = await import("/dashboard/stream.js");
    const all = [];
    for (let cut = 0; cut <= text.length; cut += 1) {
      const events = [];
      const read = parser(event => events.push(event));
      read(text.slice(0, cut));
      read(text.slice(cut));
      all.push(events);
    }
    return all;
  }, told);
  for (const [cut, events] of cuts.entries()) assert.deepEqual(events, expected, `cut at ${cut}`);

  // --- how things are written ---
  const written = await inPage(async () => {
    const f = await import("/dashboard/format.js");
    return {
      price: ["55687.70000000", "0.00001230", "100", "1234567.5", null, "55717.803809118195", "0.000012345678912"].map(f.price),
      span: [0, 59_400, 60_000, 200_000, 7_500_000, 273_600_000].map(f.span),
      countdown: [0, 23_000, 725_000, 3_723_000].map(f.countdown),
      percent: [1.239, -0.5, 0, null].map(f.percent),
      bytes: [0, 1023, 1024, 31_457_280].map(f.bytes),
      decimals: [f.decimals([1.5, 2, 3.125]), f.decimals([1e-7]), f.decimals([])],
      month: new Date(f.nextOpen(Date.UTC(2024, 1, 1), "1M")).toISOString(),
    };
  });
  assert.deepEqual(written, {
    price: ["55\u202f687.70", "0.0000123", "100", "1\u202f234\u202f567.5", "–", "55\u202f717.8038", "0.000012345678912"],
    span: ["0 s", "59 s", "1 min", "3 min 20 s", "2 h 5 min", "3 d 4 h"],
    countdown: ["0:00", "0:23", "12:05", "1:02:03"],
    percent: ["+1.24 %", "\u22120.50 %", "0.00 %", ""],
    bytes: ["0 B", "1023 B", "1.0 KiB", "30.0 MiB"],
    decimals: [3, 8, 0],
    month: "2024-03-01T00:00:00.000Z",
  });

  // --- two answers about overlapping ranges, then a refusal ---
  const minute = 60_000, at = Date.UTC(2024, 0, 1, 12);
  const kept = await inPage(
    async ({ minute, at }) => {
      const { Candles } = await import("/dashboard/candles.js");
      const kline = time => ({ open_time: time, close_time: time + minute - 1, open: 1, high: 2, low: 1, close: 2, volume: 3 });
      const iso = time => new Date(time).toISOString();
      const gap = (start, end, reason, final) => ({ start: iso(start), end: iso(end), reason, final, tried: [] });
      const segment = (start, end) => ({ start: iso(start), end: iso(end), provider: "binance", via: "cache", verification: { kind: "structural" } });
      const ok = body => new Response(JSON.stringify({ notices: [], ...body }), { headers: { "content-type": "application/json" } });
      const no = new Response(JSON.stringify({ status: 503, detail: "nobody has it", reasons: [{ provider: "binance", what: "down" }] }), { status: 503, headers: { "content-type": "application/problem+json" } });
      const answers = [
        ok({ klines: [kline(at), kline(at + 3 * minute)], gaps: [gap(at + minute, at + 3 * minute, "no_upstream_left", false), gap(at + 4 * minute, at + 5 * minute, "not_yet_closed", false)], segments: [segment(at, at + minute), segment(at + 3 * minute, at + 4 * minute)] }),
        ok({ klines: [kline(at), kline(at + minute), kline(at + 3 * minute), kline(at + 4 * minute)], gaps: [gap(at + 2 * minute, at + 3 * minute, "venue_halt", true)], segments: [segment(at, at + 5 * minute)] }),
        no,
      ];
      window.fetch = async () => answers.shift();
      const candles = new Candles({ symbol: "X", market: "spot", interval: "1m" }, 10 * minute);
      const seen = [];
      const look = () => seen.push({ rows: candles.sorted().map(row => (row.open_time - at) / minute), gaps: candles.shownGaps().map(gap => [(gap.start - at) / minute, (gap.end - at) / minute, gap.reason]), missing: candles.missing(), segments: candles.segments.length });
      await candles.load(at + 4 * minute + 1);
      look();
      candles.hope();
      await candles.follow(at + 4 * minute + 2);
      look();
      await candles.follow(at + 7 * minute + 1);
      look();
      candles.add({ kline: kline(at + 5 * minute), provider: "binance", via: "upstream" });
      look();
      return { seen, refused: candles.refusal.message };
    },
    { minute, at },
  );
  assert.deepEqual(kept.seen, [
    { rows: [0, 3], gaps: [[1, 3, "no_upstream_left"]], missing: 2, segments: 2 },
    { rows: [0, 1, 3, 4], gaps: [[2, 3, "venue_halt"]], missing: 1, segments: 1 },
    { rows: [0, 1, 3, 4], gaps: [[2, 3, "venue_halt"], [5, 7, "no_upstream_left"]], missing: 3, segments: 1 },
    { rows: [0, 1, 3, 4, 5], gaps: [[2, 3, "venue_halt"], [6, 7, "no_upstream_left"]], missing: 2, segments: 2 },
  ]);
  assert.equal(kept.refused, "nobody has it");

  // --- the verdict ---
  const verdicts = await inPage(async () => {
    const { judge } = await import("/dashboard/verdict.js");
    const contact = { lost: false, locked: false, lastAt: 1, nextAt: 2 };
    const before = "2024-01-01T02:00:00Z", since = "2024-01-01T03:02:11Z", retry_at = "2024-01-01T03:14:23Z";
    const down = { status: "down", since, retry_at, last_error: { what: "refused" } };
    const say = input => {
      const { state, since, problems } = judge({ contact, health: null, scheduler: null, prices: [], ...input });
      return [state, since ?? null, problems.map(problem => problem.title)];
    };
    return [
      say({}),
      say({ contact: { ...contact, locked: true } }),
      say({ contact: { ...contact, lost: true } }),
      say({ health: { status: "ok" }, scheduler: { providers: { binance: { status: "ok" } } } }),
      say({ health: { status: "degraded" }, scheduler: { providers: { a: { status: "degraded", since: before }, binance: down } } }),
      say({ health: { status: "degraded", cache: { readonly: "disk full" } } }),
      say({ health: { status: "degraded", notifier: { webhooks: { ops: { status: "failing", failing_since: since, waiting: 1, last_failure: { what: "no connection" } }, well: { status: "ok" } } } } }),
      say({ health: { status: "degraded", summary: ["something new"] } }),
      say({ health: { status: "degraded" }, prices: [{ symbol: "X", state: "substitute", as_of: since, substitute: "another" }] }),
      say({ health: { status: "degraded", alerts: [{ name: "CircuitOpenLong", provider: "binance", state: "firing", severity: "escalate", began_at: since }, { name: "B", state: "pending" }] } }),
      say({ health: { status: "ok" }, scheduler: { enabled: true, running: false } }),
    ];
  });
  const opened = Date.UTC(2024, 0, 1, 3, 2, 11);
  assert.deepEqual(verdicts, [
    ["wait", null, []],
    ["locked", null, []],
    ["lost", null, ["The daemon does not answer"]],
    ["ok", null, []],
    ["degraded", opened, ["binance is down", "a is degraded"]],
    ["degraded", null, ["The cache is read-only"]],
    ["degraded", opened, ["Webhook ops is not told of alerts"]],
    ["degraded", null, ["something new"]],
    ["degraded", null, ["SUBSTITUTE prices for X"]],
    ["degraded", opened, ["Alert: Circuit open long, binance"]],
    ["ok", null, ["The scheduler is not running"]],
  ]);

  // --- alerts, where they stand ---
  await open(page);
  const alerts = await inPage(async () => {
    const { showAlerts } = await import("/dashboard/alerts.js");
    const list = document.querySelector("#alerts"), since = "2024-01-01T03:02:11Z";
    const show = (...alerts) => {
      showAlerts(alerts.map(alert => ({ since, summary: `${alert.name} it is`, runbook: "Look.", severity: "page", ...alert })));
      return [...list.querySelectorAll(".alert")].map(item => {
        const [name, badge, began, says, runbook] = ["h3", ".badge", ".alert-since", ".alert-says", ".alert-runbook"].map(one => item.querySelector(one));
        return [name.textContent, badge.textContent.trim(), /03:02:11 UTC/.test(began.textContent), says.textContent, runbook.hidden ? "" : runbook.textContent];
      });
    };
    const fires = { name: "CircuitOpenLong", provider: "binance", state: "firing" };
    return [
      show({ name: "SchedulerStuck", subject: "klines", state: "resolved" }, { name: "NoPrices", subject: "um", state: "pending" }, fires),
      show({ ...fires, state: "resolved" }),
      [show(), list.textContent],
    ];
  });
  assert.deepEqual(alerts, [
    [
      ["Circuit open long: binance", "firing: page", true, "CircuitOpenLong it is", "What to do: Look."],
      ["No prices: um", "pending", true, "NoPrices it is", "What to do: Look."],
      ["Scheduler stuck: klines", "resolved", true, "SchedulerStuck it is", ""],
    ],
    [["Circuit open long: binance", "resolved", true, "CircuitOpenLong it is", ""]],
    [[], "None is active."],
  ]);
  assert.deepEqual(wrong, []);
});
