// Asking the daemon: every request of this page goes through here, to the page's own origin.
//
// A failure is one of three things to whoever asked: `lost` (nobody answered), `locked` (a key is wanted) or `refused`
// (the daemon answered with a problem, whose words are for people). The key stays in this tab.

const KEY = "evercandle-api-key";
const PATIENCE_MS = 20_000;

export class Failure extends Error {
  constructor(kind, message, problem = null) {
    super(message);
    this.kind = kind;
    this.problem = problem;
  }
}

export const key = () => sessionStorage.getItem(KEY);

export const setKey = value => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY));

export const headers = more => ({ ...(key() ? { "X-Api-Key": key() } : {}), ...more });

/** Told what became of every request: `contact(true, sent, received)` or `contact(false)`; and `locked()`. */
export const listeners = { contact: () => {}, locked: () => {} };

/** The answer's JSON. An answer of 503 that is no problem (readiness, health) is an answer. */
export const ask = async (path, parameters = {}, { signal, patience = PATIENCE_MS } = {}) => {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  const limits = [AbortSignal.timeout(patience), signal].filter(Boolean);
  const sent = Date.now();
  let response, text;
  try {
    response = await fetch(url, { headers: headers({ Accept: "application/json" }), cache: "no-store", signal: AbortSignal.any(limits) });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw new Failure("given up", "no longer wanted");
    listeners.contact(false);
    throw new Failure("lost", error.name === "TimeoutError" ? `no answer within ${patience / 1000} s` : "no answer");
  }
  listeners.contact(true, sent, Date.now());
  if (response.status === 401) {
    listeners.locked();
    throw new Failure("locked", "an API key is needed");
  }
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Failure("refused", `${response.status} ${response.statusText}: ${text.slice(0, 200)}`);
  }
  const isProblem = (response.headers.get("content-type") ?? "").includes("problem+json");
  if (isProblem || (!response.ok && response.status !== 503)) {
    throw new Failure("refused", body.detail ?? body.title ?? `status ${response.status}`, body);
  }
  return body;
};

/** Whether the daemon lives: the quickest question there is, for when it was silent. */
export const knock = async () => {
  try {
    const response = await fetch("/health/live", { cache: "no-store", signal: AbortSignal.timeout(3_000) });
    return response.ok;
  } catch {
    return false;
  }
};
