// What is on disk, and whether anything can be written there.

import { byId, keyed, make, setText } from "./dom.js";
import { bytes, count } from "./format.js";

export const showCache = cache => {
  if (!cache) return;
  const warning = byId("cache-warning"), why = readonly(cache);
  warning.hidden = why === null;
  setText(warning, why === null ? "" : `Read-only: ${why}. What is fetched is served, and not kept.`);
  const rows = [
    ["Series", count(cache.series)],
    ["Files", count(cache.files)],
    ["Size", cache.size_max ? `${bytes(cache.bytes)} of ${bytes(cache.size_max)}` : bytes(cache.bytes)],
    ["Set aside as damaged", count(cache.quarantined_files ?? 0)],
  ];
  keyed(
    byId("cache"),
    rows,
    ([label]) => label,
    ([label]) => make("div", {}, make("dt", {}, label), make("dd", { class: "number" })),
    (row, [, value]) => setText(row.querySelector("dd"), value),
  );
};

/** Why nothing can be written, or null. */
export const readonly = cache => {
  if (cache?.readonly) return typeof cache.readonly === "string" ? cache.readonly : "it could not be written";
  return cache?.dir_writable === false ? "its folder cannot be written" : null;
};
