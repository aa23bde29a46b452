// Goal: where a key is wanted, the page itself asks for it; a wrong one is said to be wrong; the right one stays in the tab.

import { accessible, assert, play, shot, text, until, DAEMON } from "./stage.mjs";

await play({}, async ({ page, context }) => {
  await page.goto(DAEMON);
  const isOpen = () => document.querySelector("#key").open;
  await until(page, "the question", isOpen);
  await shot(page, "key");
  await accessible(page);
  await page.keyboard.type("a-key-that-is-wrong");
  await page.keyboard.press("Enter");
  await until(page, "the question again", () => document.querySelector("#key").open && /not accepted/.test(document.querySelector("#key-says").innerText));
  await page.keyboard.type("a-key-of-this-test");
  await page.keyboard.press("Enter");
  await until(page, "a candle", () => document.querySelector("#legend").dataset.time);
  await until(page, "the stream, which is behind the key too", () => /live/.test(document.querySelector("#contact").textContent));
  assert.equal(await page.evaluate(() => document.querySelector("#key").open), false);
  assert.match(await text(page, "#prices"), /BTCUSDT/);

  await page.reload();
  await until(page, "a candle without asking", () => document.querySelector("#legend").dataset.time);
  assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage).filter(name => name.includes("key")), document.cookie]), [[], ""]);
  const other = await context.newPage();
  await other.goto(DAEMON);
  await until(other, "the question in another tab", isOpen);
});
