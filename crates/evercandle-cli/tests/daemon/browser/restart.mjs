// Goal: a page left open over a restart of the daemon says "no contact" at once, greys what it knows, and recovers.

import { assert, demand, open, play, shot, text, until } from "./stage.mjs";

await play({}, async ({ page, wrong }) => {
  await open(page);
  await until(page, "contact", () => /in contact/.test(document.querySelector("#contact").textContent));
  assert.deepEqual(wrong, []);

  await demand("kill");
  const began = Date.now();
  await until(page, "no contact", () => document.querySelector("#verdict").dataset.state === "lost", null, 5_000);
  const seen = Date.now() - began;
  assert.ok(seen < 5_000, `it took ${seen} ms`);
  assert.match(await text(page, "#verdict"), /No contact[\s\S]*does not answer[\s\S]*since \d\d:\d\d:\d\d UTC/);
  const filter = await page.evaluate(() => getComputedStyle(document.querySelector("#body")).filter);
  assert.match(filter, /grayscale/);
  assert.match(await text(page, "#prices"), /BTCUSDT/, "what was known stays");
  await shot(page, "lost", { fullPage: true });

  await demand("start");
  await until(page, "contact again", () => ["ok", "degraded"].includes(document.querySelector("#verdict").dataset.state));
  await until(page, "the stream again", () => /live/.test(document.querySelector("#contact").textContent), null, 40_000);
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("#body")).filter), "none");
  assert.match(await text(page, "#events"), /answers again[\s\S]*No contact/);
  const thrown = wrong.filter(one => one.startsWith("thrown") || one.startsWith("foreign"));
  assert.deepEqual(thrown, []);
});
