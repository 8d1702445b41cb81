// Preprocessing, the same as pawsure's in Python (pawsure.data.images): any picture the browser can
// decode becomes RGB bytes of the size the network takes. Turned upright, laid on white where it
// is see-through, colour profiles left aside, squashed to a square.

import { checkBright, isDeepPng, whyRefused } from "./kinds.js";
import { isJpeg, orientationOf } from "./orientation.js";
import { resize } from "./resize.js";

const DECODE_MARGIN = 1.25;
const HEAD_BYTES = 256 * 1024; // EXIF stands in the first segments, of at most 64 KB each

let checked = false;

/** Some browsers change what pages read of a canvas, against being recognised by it. */
function checkReading() {
  if (checked) return;
  const context = newContext(64, 64);
  context.fillStyle = "rgb(40 120 200)";
  context.fillRect(0, 0, 64, 64);
  const data = context.getImageData(0, 0, 64, 64).data;
  const wrong = data.reduce((sum, value, at) => sum + Math.abs(value - [40, 120, 200, 255][at % 4]), 0);
  if (wrong > data.length) {
    throw new Error("This browser changes the pixels that pages read, so that no answer could be believed. Allow this page to read its canvas (protection against fingerprinting).");
  }
  checked = true;
}

/** RGB bytes, size x size, of a File or Blob; rejects with a sentence where it is no picture. */
export async function read(file, size) {
  checkReading();
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const refused = whyRefused(head);
  if (refused) throw new Error(refused);
  const bitmap = await decoded(file);
  try {
    const orientation = orientationOf(head);
    const picture = asStored(bitmap, orientation);
    if (isDeepPng(head)) checkBright(picture);
    const square = resize(picture, size, isJpeg(head) ? reductionOf(picture, size) : 1);
    return turned(square, size, orientation);
  } finally {
    bitmap.close();
  }
}

async function decoded(file) {
  if (!file.size) throw new Error("The file is empty.");
  try {
    return await createImageBitmap(file, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    throw new Error("It can't be read: no picture, damaged, or of a kind that this browser does not know.");
  }
}

/** By how much Python has libjpeg decode smaller: 1, 2, 4 or 8. Here, means over squares follow. */
function reductionOf({ width, height }, size) {
  const side = Math.ceil(size * DECODE_MARGIN);
  const most = Math.min(Math.floor(width / side), Math.floor(height / side));
  return [8, 4, 2].find((reduction) => most >= reduction) ?? 1;
}

// For each orientation, what draws an upright picture as it lies in its file: the matrix of
// setTransform, its translation in widths and heights of the picture as stored.
const UNDONE = {
  1: [1, 0, 0, 1, 0, 0],
  2: [-1, 0, 0, 1, 1, 0],
  3: [-1, 0, 0, -1, 1, 1],
  4: [1, 0, 0, -1, 0, 1],
  5: [0, 1, 1, 0, 0, 0],
  6: [0, -1, 1, 0, 0, 1],
  7: [0, -1, -1, 0, 1, 1],
  8: [0, 1, -1, 0, 1, 0],
};

/**
 * A picture to read rows of, lying as in its file. The browser has turned it; Python turns it
 * last, once it is small, and one level of 255 hangs on which side is resized first.
 */
function asStored(bitmap, orientation) {
  const [width, height] = orientation > 4 ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
  const [a, b, c, d, e, f] = UNDONE[orientation];
  let context = null;
  const rows = (from, count) => {
    if (context?.canvas.height !== count) context = newContext(width, count);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillRect(0, 0, width, count);
    context.setTransform(a, b, c, d, e * width, f * height - from);
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, count).data;
  };
  return { width, height, rows };
}

function newContext(width, height) {
  // Read back each time, so on the processor: graphics cards round in ways of their own.
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.fillStyle = "#fff";
  return context;
}

/** Turns a square of RGB upright. */
function turned(square, size, orientation) {
  if (orientation === 1) return square;
  const last = size - 1;
  const from = {
    2: (x, y) => [last - x, y],
    3: (x, y) => [last - x, last - y],
    4: (x, y) => [x, last - y],
    5: (x, y) => [y, x],
    6: (x, y) => [y, last - x],
    7: (x, y) => [last - y, last - x],
    8: (x, y) => [last - y, x],
  }[orientation];
  const upright = new Uint8Array(square.length);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const [column, row] = from(x, y);
      const at = (row * size + column) * 3;
      upright.set(square.subarray(at, at + 3), (y * size + x) * 3);
    }
  }
  return upright;
}
