// Light or dark: as the system says, unless this person said otherwise.

import { byId, setText } from "./dom.js";

const KEY = "evercandle-theme", ORDER = ["system", "light", "dark"];

/** `changed()` after every change, the system's included. */
export const startTheme = changed => {
  const stored = localStorage.getItem(KEY);
  let theme = ORDER.includes(stored) ? stored : "system";
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    setText(byId("theme-says"), `Theme: ${theme}`);
    byId("theme").title = `Theme: ${theme}`;
    changed();
  };
  const next = () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    localStorage.setItem(KEY, theme);
    apply();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  byId("theme").addEventListener("click", next);
  apply();
  return next;
};
