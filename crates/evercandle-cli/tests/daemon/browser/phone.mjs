// Goal: readable on a phone of 360 pixels, in the dark, without movement; nothing has to be scrolled sideways.

import { accessible, assert, exchange, open, play, shot, until } from "./stage.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: "dark", reducedMotion: "reduce" };

await play(PHONE, async ({ page }) => {
  await open(page);
  const fits = async () => {
    const sizes = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(sizes[0] <= sizes[1], `the page is ${sizes[0]} wide on a screen of ${sizes[1]}`);
    const wide = await page.evaluate(() => [...document.querySelectorAll("body *")].filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".unseen, .chart, .sprite")).map(one => one.outerHTML.slice(0, 120)));
    assert.deepEqual(wide, []);
  };
  await fits();
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [red] = ground.match(/\d+/g).map(Number);
  assert.ok(red < 60, `dark was asked for, and the ground is ${ground}`);
  await until(page, "everything to be well", () => document.querySelector("#verdict").dataset.state === "ok");
  await shot(page, "phone-dark", { fullPage: true });
  await accessible(page);

  await exchange.fault({ effect: { kind: "refuse" }, upstream: "" });
  await until(page, "the outage", () => /is down/.test(document.querySelector("#problems").innerText), null, 12_000);
  await fits();
  const top = await page.evaluate(() => document.querySelector("#problems li").getBoundingClientRect().bottom);
  assert.ok(top < 740, "what is wrong is above the fold");
  await shot(page, "phone-outage", { fullPage: true });
  await accessible(page);

  // The other scheme, by the button.
  await exchange.mend();
  await page.tap("#theme");
  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.ok(Number(light.match(/\d+/)[0]) > 200, `light was asked for, and the ground is ${light}`);
  await accessible(page);
});
