// Calls the server: several pictures at a time, so that they share batches. Retries while it is
// busy. Errors have a sentence for people, and `passing` if a retry may help.

const AT_ONCE = 6;
const TRIES = 6;

let token = sessionStorage.getItem("pawsure-token");
let askForToken = async () => null;
let asking = null;

/** Sets the function that asks for the token; it returns the token, or null. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** The model's metadata. */
export async function model() {
  const response = await request("v1/model");
  if (!response.ok) throw new Error(await message(response));
  return response.json();
}

const queue = [];
let running = 0;

/** The answer for one file; `signal` cancels it. */
export function predict(file, signal) {
  return new Promise((resolve, reject) => {
    queue.push({ file, signal, resolve, reject });
    pump();
  });
}

function pump() {
  while (running < AT_ONCE && queue.length) {
    const job = queue.shift();
    running += 1;
    answer(job)
      .then(job.resolve, job.reject)
      .finally(() => {
        running -= 1;
        pump();
      });
  }
}

async function answer({ file, signal }) {
  const form = new FormData();
  form.append("pictures", file, file.name || "picture");
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    const response = await request("v1/predict?evidence=true", { method: "POST", body: form, signal });
    if (response.ok) return (await response.json()).answers[0];
    if (response.status !== 503 || attempt === TRIES) {
      const passing = response.status >= 500 || response.status === 401 || response.status === 408;
      throw Object.assign(new Error(await message(response)), { passing });
    }
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((done) => setTimeout(done, seconds * 1000 * (0.8 + 0.4 * Math.random())));
  }
}

async function request(address, options = {}) {
  const used = token;
  const headers = used ? { Authorization: `Bearer ${used}` } : {};
  let response;
  try {
    response = await fetch(address, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("The server can't be reached. Is it still running?"), { passing: true });
  }
  if (response.status !== 401) return response;
  if (used !== token) return request(address, options);
  asking ??= askForToken().finally(() => (asking = null));
  const entered = await asking;
  if (!entered) return response;
  token = entered;
  sessionStorage.setItem("pawsure-token", token);
  return request(address, options);
}

async function message(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}
