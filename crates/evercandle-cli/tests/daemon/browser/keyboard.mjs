// Goal: everything that can be done can be done by keyboard, in the order one reads, and one sees where one is.

import { assert, open, play, shot, text, until } from "./stage.mjs";

await play({}, async ({ page, wrong }) => {
  await open(page);
  const focused = () => page.evaluate(() => {
    const one = document.activeElement;
    return one.id || one.name || one.className || one.tagName;
  });
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  // The first stop leads past the header, and is seen.
  await press("Tab");
  assert.equal(await focused(), "skip");
  await until(page, "it to be seen", () => 0 <= document.activeElement.getBoundingClientRect().top);
  await press("Enter");
  assert.equal(await focused(), "verdict");

  // From there: prices, another symbol, symbol, interval, range, the chart.
  const seen = [];
  for (let i = 0; i < 30 && (await focused()) !== "chart"; i += 1) {
    await press("Tab");
    const where = await focused();
    if (seen.at(-1) !== where) seen.push(where);
    const outline = await page.evaluate(() => {
      const one = document.activeElement, shown = one.matches(".choice input") ? one.nextElementSibling : one;
      return getComputedStyle(shown).outlineStyle;
    });
    assert.notEqual(outline, "none", `${where} does not show that it has the focus`);
  }
  const order = ["price", "other-symbol", "other-market", "watched", "interval", "range", "chart"];
  assert.deepEqual(seen.filter(where => order.includes(where)), order);

  // Arrow keys move through the menu; the address and the chart follow.
  await page.focus('input[name="interval"]:checked');
  const before = page.url();
  await press("ArrowRight");
  assert.notEqual(page.url(), before);
  await until(page, "candles of the new interval", () => /^\d{4}-\d\d-\d\d \d\d:\d[05] UTC/.test(document.querySelector("#legend").innerText));
  await page.focus('input[name="watched"]:checked');
  await press("ArrowRight");
  await until(page, "the other symbol", () => document.querySelector("#market-title").innerText === "ETHUSDT spot");
  assert.equal(await page.evaluate(() => document.querySelector('.price[aria-current="true"]').dataset.key), "spot ETHUSDT");

  // Enter presses what has the focus.
  await page.focus(".price");
  await press("Enter");
  await until(page, "the first symbol again", () => document.querySelector("#market-title").innerText === "BTCUSDT spot");

  // Any other symbol, typed; one that does not exist is told in words.
  await press("/");
  assert.equal(await focused(), "other-symbol");
  await page.keyboard.type("nosuchusdt");
  await press("Enter");
  await until(page, "the daemon's words", () => !document.querySelector("#chart-note").hidden && /NOSUCHUSDT/i.test(document.querySelector("#chart-note").innerText));

  // The shortcuts are listed, and do what they say.
  await page.focus("#theme");
  await press("?");
  assert.ok(await page.evaluate(() => document.querySelector("#help").open));
  await shot(page, "help");
  await press("Escape");
  assert.equal(await page.evaluate(() => document.querySelector("#help").open), false);
  await press("t", "t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await press("[");
  await until(page, "the symbol before", () => document.querySelector("#market-title").innerText !== "NOSUCHUSDT spot");
  await until(page, "its candles", () => document.querySelector("#legend").dataset.time);
  await press("c");
  assert.equal(await focused(), "chart");
  const last = await page.evaluate(() => document.querySelector("#legend").dataset.time);
  await press("Home");
  const first = await page.evaluate(() => document.querySelector("#legend").dataset.time);
  assert.ok(first < last);
  await press("Escape", "+", "-");

  // Off means off.
  await page.uncheck("#keys-on", { force: true }).catch(() => page.evaluate(() => document.querySelector("#keys-on").click()));
  await press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.match(await text(page, "footer"), /TradingView/);
  const unexpected = wrong.filter(one => !/status of 404/.test(one));
  assert.deepEqual(unexpected, []);
});
