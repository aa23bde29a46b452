// Goal: the page loads from the daemon alone, without an error, and what it shows is what the API says.

import { DAEMON, accessible, ask, assert, open, play, shot, text, until } from "./stage.mjs";

await play({}, async ({ page, wrong }) => {
  await open(page);
  await until(page, "a verdict that is OK", () => document.querySelector("#verdict").dataset.state === "ok");
  await until(page, "the stream", () => document.querySelector("#contact").textContent.includes("live"));

  // The chart has content: several colours besides its background.
  const colours = await page.evaluate(() => {
    const found = new Set();
    for (const canvas of document.querySelectorAll("#chart canvas")) {
      if (!canvas.width || !canvas.height) continue;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    }
    return found.size;
  });
  assert.ok(10 < colours, `the chart has only ${colours} colours`);

  // The legend is the API's candle of that time, digit for digit.
  const legend = await page.evaluate(() => ({ ...document.querySelector("#legend").dataset }));
  const end = new Date(Date.parse(legend.time) + 60_000).toISOString();
  const query = new URLSearchParams({ symbol: "BTCUSDT", market: "spot", interval: "1m", start: legend.time, end, completeness: "best_effort", forming: "true" });
  const { klines } = await ask(`/v1/klines?${query}`);
  assert.equal(klines.length, 1);
  assert.equal(Date.parse(klines[0].open_time), Date.parse(legend.time));
  assert.equal(Number(legend.open), Number(klines[0].open));
  const minutes = (Date.now() - Date.parse(legend.time)) / 60_000;
  assert.ok(minutes < 2, `the newest candle is ${minutes} minutes old`);

  // A closed candle under the crosshair: everything equal, and whose it is.
  await page.focus("#chart");
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowLeft");
  const closed = await page.evaluate(() => ({ ...document.querySelector("#legend").dataset }));
  assert.ok(Date.parse(closed.time) < Date.parse(legend.time));
  const until_ = new Date(Date.parse(closed.time) + 60_000).toISOString();
  query.set("start", closed.time);
  query.set("end", until_);
  const [same] = (await ask(`/v1/klines?${query}`)).klines;
  for (const name of ["open", "high", "low", "close", "volume"]) assert.equal(Number(closed[name]), Number(same[name]), name);
  assert.match(await text(page, "#legend"), /binance/);

  const { providers } = await ask("/health/scheduler");
  for (const name of Object.keys(providers)) assert.ok((await text(page, "#providers")).includes(name), name);
  const isUsed = most => {
    const meter = document.querySelector('[aria-label="quota of binance used"]');
    return 0 < Number(meter.getAttribute("aria-valuenow")) && Number(meter.getAttribute("aria-valuemax")) === most;
  };
  await until(page, "the quota that is used", isUsed, providers.binance.quota.allowed);
  // Series, files and their size; counted every few seconds.
  const isCounted = () => [...document.querySelectorAll("#cache dd")].slice(0, 3).filter(one => /^[1-9]/.test(one.innerText)).length === 3;
  await until(page, "the cache's figures", isCounted);
  assert.match(await text(page, "#prices"), /BTCUSDT[\s\S]*live/);
  assert.match(await text(page, "#runs"), /of \d+ symbols? in/);

  // Every file of the page is ours, typed, and allowed to run nothing else.
  const head = await fetch(`${DAEMON}/`);
  assert.match(head.headers.get("content-security-policy"), /default-src 'self'/);
  assert.doesNotMatch(head.headers.get("content-security-policy"), /unsafe/);

  await shot(page, "light", { fullPage: true });
  assert.deepEqual(wrong, []);
  await accessible(page);
});
