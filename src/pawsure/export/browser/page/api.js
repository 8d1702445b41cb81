// Answers for pictures in this browser, where the page of `pawsure serve` asks its server: the
// same functions, so that the rest of the page is the same.

import { onEngine } from "./engine.js";

const MOST_BYTES = 256 * 1024 * 1024; // of a file, as in Python

let worker = null;
let broken = null;
let ids = 0;
const jobs = new Map();

/** What the model is; starts it. */
export async function model() {
  let description;
  try {
    const response = await fetch(new URL("model.json", import.meta.url));
    if (!response.ok) throw new Error(`model.json is not there (status ${response.status}).`);
    description = await response.json();
  } catch (error) {
    fail(error.message);
    throw error;
  }
  onEngine({ loading: { here: 0, total: Object.values(description.files).reduce((a, b) => a + b, 0) } });
  start(description);
  return { ...description, limits: { max_picture_bytes: MOST_BYTES } };
}

function start(description) {
  // By way of a blob, as such a worker is bound by this page's Content-Security-Policy, and one
  // from a file is bound only by headers, which a plain server does not send.
  const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  worker = new Worker(address, { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.id) settle(data);
    else if (data.failed) fail(data.failed);
    else if (!broken) onEngine(data);
  };
  worker.onerror = () => fail("This browser can't run the model; a newer one can.");
  worker.postMessage({ open: description });
  for (const [id, { file }] of jobs) worker.postMessage({ id, file });
}

/** An answer for one file; the promise is rejected with a sentence. `signal` gives it up. */
export function predict(file, signal) {
  return new Promise((resolve, reject) => {
    if (broken) throw new Error(broken);
    const id = (ids += 1);
    jobs.set(id, { file, resolve, reject });
    signal.addEventListener("abort", () => giveUp(id));
    worker?.postMessage({ id, file });
  });
}

/** Nobody asks for a token here. */
export function onTokenNeeded() {}

function giveUp(id) {
  if (!jobs.has(id)) return;
  worker?.postMessage({ drop: id });
  settle({ id, error: "It was taken away." });
}

function settle({ id, answer, error }) {
  const job = jobs.get(id);
  jobs.delete(id);
  if (answer) job?.resolve(answer);
  else job?.reject(new Error(error));
}

function fail(message) {
  broken = message;
  onEngine({ failed: message });
  for (const id of [...jobs.keys()]) settle({ id, error: message });
}
