// Goal: when the exchange stops answering, the page says so within seconds: what is down, since when, what happens next;
// prices that are not live say what they are; and when it is over, the page says that too.

import { accessible, assert, exchange, open, play, shot, text, until } from "./stage.mjs";

await play({}, async ({ page, wrong }) => {
  await open(page);
  await until(page, "everything to be well", () => document.querySelector("#verdict").dataset.state === "ok");
  const address = page.url();

  await exchange.fault({ effect: { kind: "refuse" }, upstream: "binance" });
  const began = Date.now();
  await until(page, "the provider to be shown as down", () => /binance is down/.test(document.querySelector("#problems").innerText), null, 10_000);
  const seen = Date.now() - began;
  assert.equal(await page.evaluate(() => document.querySelector("#verdict").dataset.state), "degraded");
  const problems = await text(page, "#problems");
  assert.match(problems, /since \d\d:\d\d:\d\d UTC/);
  assert.match(problems, /next probe (in \d+:\d\d|now)/);
  assert.equal(await page.evaluate(() => document.querySelector("#providers li").dataset.key), "binance", "what is wrong stands on top");
  const first = await text(page, "#providers li");
  assert.match(first, /since \d\d:\d\d:\d\d UTC/);
  assert.match(first, /next probe (in \d+:\d\d|now)/);
  const hasErrors = () => [...document.querySelectorAll("#runs details:not([hidden]) li")].some(line => /BTCUSDT[\s\S]*binance/.test(line.textContent));
  await until(page, "the last run's errors, with whose they are", hasErrors);
  await until(page, "substitutes, called so", () => /substitute/.test(document.querySelector("#prices").innerText));
  await until(page, "what stands in, in words", () => /SUBSTITUTE: bitcoin/.test(document.querySelector("#chart-badges").innerText));
  assert.match(await text(page, "#events"), /binance is down/);
  assert.match(await page.title(), /Degraded/);
  assert.match(await text(page, "#verdict-sentence"), /^binance is (down|degraded) since \d\d:\d\d:\d\d UTC/, "one thing by name, with its own time");
  const lines = await page.evaluate(() => [...document.querySelectorAll("#problems li")].map(line => line.querySelector(".problem-since").innerText));
  assert.ok(lines.every(line => /since \d\d:\d\d:\d\d UTC/.test(line)), `each since when: ${lines}`);
  const spilt = await page.evaluate(() => [...document.querySelectorAll(".price")].filter(card => card.scrollWidth > card.clientWidth + 1).map(card => card.innerText));
  assert.deepEqual(spilt, [], "what stands in a card stays in it");
  await shot(page, "outage", { fullPage: true });
  await accessible(page);

  // The substitutes fall silent as well: the last known price, with its age.
  await exchange.fault({ effect: { kind: "refuse" }, upstream: "coingecko" });
  await until(page, "the last known price with its age", () => /last known\s+\d+ (s|min)[^\n]* old/.test(document.querySelector("#prices").innerText), null, 25_000);
  await shot(page, "outage-of-all", { fullPage: true });

  await exchange.mend();
  // Upstreams that nobody needs while the exchange answers are asked again once a minute: they may go on being degraded.
  const isOver = () => !/binance is|Prices/.test(document.querySelector("#problems").innerText) && document.querySelector('[data-key="binance"]').dataset.status === "ok";
  await until(page, "the end of the outage", isOver, null, 25_000);
  await until(page, "live prices", () => !/substitute|last known/.test(document.querySelector("#prices").innerText));
  assert.equal(await text(page, "#chart-badges").then(badges => /SUBSTITUTE|last known/.test(badges)), false);
  assert.match(await text(page, "#events"), /binance is ok/);
  assert.equal(page.url(), address);
  // The daemon answers 503 where nobody could supply something; the browser notes those, and nothing else.
  assert.deepEqual(wrong.filter(one => !/status of 503/.test(one)), []);
  assert.ok(seen < 10_000, `it took ${seen} ms`);
});
