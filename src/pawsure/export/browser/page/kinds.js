// Kinds of file that browsers decode to other pixels than pawsure does in Python
// (pawsure.data.images). An answer for those pixels would be that of another picture.

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** A sentence for a file that begins so, or "" where the browser reads it as Python does. */
export function whyRefused(bytes) {
  const mark = String.fromCharCode(...bytes.subarray(0, 4));
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(mark)) {
    return "It is a TIFF, which not all browsers read, and none as Python does. Save it as PNG.";
  }
  return "";
}

/** Whether a file is a PNG of 16 bits a channel, of which browsers see the higher 8. */
export function isDeepPng(bytes) {
  return PNG.every((byte, at) => bytes[at] === byte) && bytes[24] === 16;
}

/**
 * Rejects a picture of 16 bits a channel of which at most 14 are used, as cameras and X-ray
 * stations write them: Python brings them to the full range, a browser has lost the lower half.
 */
export function checkBright({ width, height, rows }) {
  const strip = Math.max(1, Math.floor(2 ** 22 / width));
  for (let from = 0; from < height; from += strip) {
    const bright = rows(from, Math.min(strip, height - from)).some((level, at) => at % 4 < 3 && level > 63);
    if (bright) return;
  }
  throw new Error("It is dark: it seems to have 10 to 14 bits in 16, of which browsers see half. Save it with 8.");
}
