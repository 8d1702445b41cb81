// How a picture file says that it is to be turned (EXIF, CIPA DC-008, 4.6.5.1), and whether it is
// a JPEG. Nothing is decoded.

const ORIENTATION = 0x0112;

export function isJpeg(bytes) {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** 1 to 8; 1, upright, where a JPEG says nothing, or something else. Other files: always 1. */
export function orientationOf(bytes) {
  try {
    const value = isJpeg(bytes) ? inJpeg(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)) : 1;
    return value >= 1 && value <= 8 ? value : 1;
  } catch {
    return 1; // it ends where it should not, or lies about where things are
  }
}

function inJpeg(view) {
  for (let at = 2; view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xda || marker === 0xd9) return 1;
    // "Exif", 0, 0 in an APP1 segment
    if (marker === 0xe1 && view.getUint32(at + 4) === 0x45786966 && view.getUint16(at + 8) === 0) {
      return inTiff(view, at + 10);
    }
    at += 2 + view.getUint16(at + 2);
  }
  return 1;
}

function inTiff(view, start) {
  const little = view.getUint16(start) === 0x4949;
  const directory = start + view.getUint32(start + 4, little);
  const entries = view.getUint16(directory, little);
  for (let entry = 0; entry < entries; entry += 1) {
    const at = directory + 2 + 12 * entry;
    if (view.getUint16(at, little) === ORIENTATION) return view.getUint16(at + 8, little);
  }
  return 1;
}
