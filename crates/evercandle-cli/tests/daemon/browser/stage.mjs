// What every script needs: a browser, a page that is watched for errors and foreign requests, the exchange's faults, and
// waiting for something to become true, with what was seen instead if it never does.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const { DAEMON, EXCHANGE, CHROMIUM, MODULES, SHOTS } = process.env;
const required = createRequire(path.join(MODULES, "here.js"));
const { chromium } = required("playwright-core");

export { assert, DAEMON };

/** Without these Chromium looks for its maker's hosts, and a sandbox cannot be made inside a container. */
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];

export const PATIENCE_MS = 15_000;

const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });

/** Runs the script with a page; whatever it throws ends the process with what was on the page. */
export const play = async (options, script) => {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = watch(page);
  let failed = false;
  try {
    await script({ page, context, wrong });
  } catch (error) {
    failed = true;
    console.error(error);
    console.error(`wrong: ${JSON.stringify(wrong, null, 1)}`);
    console.error(await page.innerText("body").catch(String));
  }
  if (failed) await shot(page, "failed");
  await browser.close();
  process.exit(failed ? 1 : 0);
};

/** Errors on the console or thrown, and requests to anybody else. Whoever stops the daemon empties the list. */
const watch = page => {
  const wrong = [];
  page.on("console", message => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", error => wrong.push(`thrown: ${error.stack}`));
  page.on("request", request => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== DAEMON && protocol !== "data:") wrong.push(`foreign request: ${request.url()}`);
  });
  page.on("requestfailed", request => {
    // A stream is ended by whoever stops listening.
    const isGivenUp = request.failure()?.errorText === "net::ERR_ABORTED";
    if (!isGivenUp) wrong.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
  });
  return wrong;
};

/** Opens the dashboard and waits until everything has been asked for once. */
export const open = async (page, address = "/") => {
  await page.goto(DAEMON + address);
  await until(page, "a verdict", () => !["wait"].includes(document.querySelector("#verdict").dataset.state));
  await until(page, "a candle", () => document.querySelector("#legend").dataset.time);
};

/** Waits for a function of the page to be true. */
export const until = async (page, what, holds, argument, patience = PATIENCE_MS) => {
  try {
    await page.waitForFunction(holds, argument, { timeout: patience, polling: 100 });
  } catch (error) {
    throw new Error(`waited ${patience} ms in vain for ${what}: ${error.message}`);
  }
};

export const text = (page, selector) => page.innerText(selector);

export const ask = async (target, headers = {}) => (await fetch(DAEMON + target, { headers })).json();

export const exchange = {
  fault: async fault => (await send("POST", "faults", fault)).id,
  mend: () => send("DELETE", "faults"),
};

const send = async (method, what, body) => {
  const response = await fetch(`${EXCHANGE}/_simulator/${what}`, { method, body: body && JSON.stringify(body) });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
};

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test for what only the owner of the process can do: `kill`, `start`. */
export const demand = async what => {
  process.stdout.write(`${what}\n`);
  assert.equal((await lines.next()).value, "done");
};

/** A picture for whoever sets SHOTS to a folder. */
export const shot = async (page, name, options = {}) => {
  if (SHOTS) await page.screenshot({ path: path.join(SHOTS, `${name}.png`), ...options });
};

/** No serious finding of axe, in the state the page is in. */
export const accessible = async page => {
  // Not as a script of the page: its policy would not let it in.
  await page.evaluate(required("axe-core").source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(violation => ["serious", "critical"].includes(violation.impact));
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map(node => `${node.html} ${node.failureSummary}`).join("; ")}`);
  assert.deepEqual(told, []);
};
