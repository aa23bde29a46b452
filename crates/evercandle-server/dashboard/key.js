// Asks for the API key when the daemon wants one; once, not with every request that was refused.

import { byId, setText } from "./dom.js";
import { key, setKey } from "./api.js";

let asked = false;

/** `retry()` when a key was given. */
export const startKeyPrompt = retry => {
  const dialog = byId("key");
  dialog.addEventListener("close", () => {
    const value = byId("key-value").value.trim();
    byId("key-value").value = "";
    asked = dialog.returnValue === "cancel" || dialog.returnValue === "";
    if (dialog.returnValue !== "use" || !value) return;
    setKey(value);
    retry();
  });
  return () => {
    if (dialog.open || asked) return;
    setText(byId("key-says"), key() ? "The key that was given is not accepted." : "It is kept in this tab only, and forgotten when the tab closes.");
    dialog.returnValue = "";
    dialog.showModal();
  };
};

/** The person wants to be asked again. */
export const askAgain = () => (asked = false);
