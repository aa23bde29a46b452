// Single-key shortcuts and the page that lists them. They can be turned off, because who dictates text presses keys
// without meaning to, and they never act while something is being typed.

import { byId, make } from "./dom.js";

const KEY = "evercandle-shortcuts";

/** `shortcuts`: `[keys, words, action]`. */
export const startKeyboard = shortcuts => {
  const help = byId("help"), on = byId("keys-on");
  on.checked = localStorage.getItem(KEY) !== "off";
  on.addEventListener("change", () => localStorage.setItem(KEY, on.checked ? "on" : "off"));
  const open = () => {
    if (!document.querySelector("dialog[open]")) help.showModal();
  };
  byId("help-open").addEventListener("click", open);
  const all = [...shortcuts, [["?"], "this list", open]];
  byId("keys").replaceChildren(
    ...all.map(([keys, words]) => make("tr", {}, make("th", { scope: "row" }, ...listed(keys)), make("td", {}, words))),
    make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, "←"), make("kbd", {}, "→"), make("kbd", {}, "+"), make("kbd", {}, "−")), make("td", {}, "in the chart: move, zoom")),
  );
  addEventListener("keydown", event => {
    if (!on.checked || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const found = all.find(([keys]) => keys.includes(event.key));
    if (!found) return;
    event.preventDefault();
    found[2](found[0].indexOf(event.key));
  });
};

/** A long row of keys by its ends. */
const listed = keys => {
  const caps = keys.map(key => make("kbd", {}, key));
  return caps.length < 4 ? caps : [caps[0], "… ", caps.at(-1)];
};

const isTyping = element => element.matches?.("input:not([type=radio]):not([type=checkbox]), textarea, select") ?? false;
