// Goal: candles that nobody supplies are not papered over: a band in the chart, a line in the list, a reason.

import { assert, exchange, open, play, shot, text, until } from "./stage.mjs";

await play({}, async ({ page }) => {
  // Nobody supplies anything of this symbol's minutes, except the exchange's REST interface, and that only its newest.
  await open(page, "/");
  await exchange.fault({ effect: { kind: "refuse" }, upstream: "binance-vision" });
  await exchange.fault({ effect: { kind: "refuse" }, upstream: "binance", path: "*klines*" });
  await page.goto("about:blank");
  await open(page, "/#BTCUSDT/spot/1m/1d");
  await until(page, "a gap", () => /\d+ gaps?, [\d,]+ candles? missing/.test(document.querySelector("#gaps-summary").innerText));
  await until(page, "the badge", () => /missing/.test(document.querySelector("#chart-badges").innerText));
  await page.click("#gaps summary");
  const list = await text(page, "#gaps-list");
  assert.match(list, /candles?: no upstream could supply it; may still come/);
  assert.match(list, /binance/, "who was asked");

  // The band is in the chart, where the candles are not: hatched, in the colour of what is wrong.
  const before = await page.evaluate(() => document.querySelector("#chart canvas").width);
  assert.ok(before > 0);
  const marked = await page.evaluate(() => {
    const [wanted] = [getComputedStyle(document.querySelector("#gaps-list li")).borderLeftColor].map(colour => colour.match(/\d+/g).slice(0, 3).map(Number));
    let most = 0;
    for (const canvas of document.querySelectorAll("#chart canvas")) {
      if (!canvas.width || !canvas.height) continue;
      const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      // The band's upper edge is drawn nearly opaque.
      for (let x = 0; x < width; x += 1) if ([0, 1, 2].every(i => Math.abs(data[4 * x + i] - wanted[i]) < 40)) found += 1;
      most = Math.max(most, found);
    }
    return most;
  });
  assert.ok(20 < marked, `only ${marked} pixels are marked`);

  // The reason is under the pointer as well.
  await page.locator("#chart").hover({ position: { x: 40, y: 120 } });
  await until(page, "the reason under the pointer", () => /Missing: no upstream could supply it/.test(document.querySelector("#legend").innerText));
  await shot(page, "gaps", { fullPage: true });

  await exchange.mend();
  await until(page, "the candles to come back", () => /No gaps/.test(document.querySelector("#gaps-summary").innerText) || !/no upstream could/.test(document.querySelector("#gaps-list").innerText), null, 20_000);
});
