// Runs a model file in ONNX Runtime Web under Node.js, a picture at a time, as the page does.
//
// node check.mjs RUNTIME MODEL: RUNTIME is the folder of ort.wasm.min.mjs, MODEL a model file.
// On standard input: pictures, uint8 (S, S, 3) each. On standard output, for each: a line of
// JSON, [name, shape] for every output, and then their values, float32, one after the other.

import { readFileSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, modelFile, size] = process.argv.slice(2);
const ort = await import(pathToFileURL(join(folder, "ort.wasm.min.mjs")).href);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(join(folder, "ort-wasm-simd-threaded.wasm"));
const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
const session = await ort.InferenceSession.create(readFileSync(modelFile), options);

const picture = new Uint8Array(size * size * 3);
while (filled(picture)) {
  const image = new ort.Tensor("uint8", picture, [1, Number(size), Number(size), 3]);
  const found = await session.run({ image });
  const outputs = session.outputNames.map((name) => [name, found[name]]);
  put(Buffer.from(`${JSON.stringify(outputs.map(([name, { dims }]) => [name, dims]))}\n`));
  for (const [, { data }] of outputs) put(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** Fills bytes from standard input; false at its end. */
function filled(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const count = retried(() => readSync(0, bytes, at, bytes.length - at));
    if (count === 0) return false;
    at += count;
  }
  return true;
}

function put(bytes) {
  for (let at = 0; at < bytes.length; ) at += retried(() => writeSync(1, bytes, at));
}

/** Pipes are not ready at times, and say so with EAGAIN. */
function retried(step) {
  for (;;) {
    try {
      return step();
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
