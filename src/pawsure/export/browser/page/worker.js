// Reads pictures and runs the model, beside the page, which stays quick to respond.

import * as ort from "./runtime/ort.wasm.min.js";
import { answerOf } from "./answers.js";
import { read } from "./preprocessing.js";

const MOST_THREADS = 4;
const SAY_EVERY = 250_000; // bytes

let model = null;
let session = null;

// One after the other: a forward pass takes all the threads that there are.
let last = Promise.resolve();
const dropped = new Set();
self.onmessage = ({ data }) => {
  if (data.drop) dropped.add(data.drop);
  else last = last.then(() => (data.open ? open(data.open) : answer(data)));
};

async function open(description) {
  try {
    model = description;
    const [wasm, graph] = await fetched(["runtime/ort-wasm-simd-threaded.wasm", "model.onnx"]);
    const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
    Object.assign(ort.env.wasm, {
      numThreads: threads,
      wasmBinary: wasm,
      wasmPaths: { mjs: new URL("runtime/ort-wasm-simd-threaded.js", import.meta.url).href },
    });
    session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], logSeverityLevel: 3 });
    await run(new Uint8Array(model.size_px ** 2 * 3)); // the first pass is slower than all others
    self.postMessage({ ready: { threads } });
  } catch (error) {
    self.postMessage({ failed: sentence(error) });
  }
}

/** The bytes of files beside this one, and word of how much is there. */
async function fetched(names) {
  const total = names.reduce((sum, name) => sum + model.files[name], 0);
  let [here, said] = [0, 0];
  const stop = new AbortController();
  const one = async (name) => {
    const response = await fetch(new URL(name, import.meta.url), { signal: stop.signal });
    if (!response.ok) throw new Error(`${name} is not there (status ${response.status}).`);
    const bytes = new Uint8Array(model.files[name]);
    const reader = response.body.getReader();
    let at = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > bytes.length) throw new Error(`${name} is another file than was exported.`);
      bytes.set(part.value, at);
      at += part.value.length;
      here += part.value.length;
      if (here - said > SAY_EVERY) self.postMessage({ loading: { here: (said = here), total } });
    }
    if (at < bytes.length) throw new Error(`${name} was cut short.`);
    return bytes;
  };
  try {
    const found = await Promise.all(names.map(one));
    self.postMessage({ loading: { here: total, total } });
    return found;
  } finally {
    stop.abort(); // where one is missing, the other is not waited for
  }
}

async function answer({ id, file }) {
  if (dropped.delete(id)) return;
  try {
    if (!session) throw new Error("The model could not be started.");
    const start = performance.now();
    const pixels = await read(file, model.size_px);
    const found = answerOf(await run(pixels), model);
    self.postMessage({ id, answer: { ...found, milliseconds: performance.now() - start } });
  } catch (error) {
    self.postMessage({ id, error: sentence(error) });
  }
}

async function run(pixels) {
  const image = new ort.Tensor("uint8", pixels, [1, model.size_px, model.size_px, 3]);
  const wanted = ["probability", "evidence", "familiarity"].filter((name) => session.outputNames.includes(name));
  const found = await session.run({ image }, wanted);
  return {
    probability: found.probability.data,
    evidence: found.evidence.data,
    shape: found.evidence.dims.slice(1, 3),
    familiarity: found.familiarity?.data,
  };
}

function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}
