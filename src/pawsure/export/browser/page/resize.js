// Pillow's resize, number for number: bilinear with a support that grows with the shrinking
// (antialiased), in two passes over bytes, rows first, in its fixed-point arithmetic.
// Source: Pillow's src/libImaging/Resample.c, precompute_coeffs and the passes for 8 bits.

const PRECISION_BITS = 32 - 8 - 2;
const HALF = 2 ** (PRECISION_BITS - 1);
const SUPPORT = 1; // of the bilinear filter

/** The side of a picture that goes to the resize: `cells` samples, of which [0, end) is picture. */
export function axis(length, reduction) {
  return { length, reduction, cells: Math.ceil(length / reduction), end: length / reduction };
}

/**
 * Brings a picture to a square.
 *
 * `picture` is {width, height, rows(from, count)}; rows gives RGBA bytes, opaque, and is called
 * from top to bottom once. `reduction` is by how much each side is first made smaller, by means
 * over squares, as libjpeg does when it decodes at 1/2, 1/4 or 1/8.
 * Gives RGB bytes, size x size.
 */
export function resize(picture, size, reduction = 1) {
  const across = axis(picture.width, reduction);
  const down = axis(picture.height, reduction);
  const weights = filterOf(across, size);
  const narrow = new Uint8Array(down.cells * size * 3);
  // As many rows at a time as make four megapixels: a picture of a hundred is never there twice.
  const strip = reduction * Math.max(1, Math.floor(2 ** 22 / picture.width / reduction));
  for (let from = 0; from < picture.height; from += strip) {
    const count = Math.min(strip, picture.height - from);
    const rows = reduced(picture.rows(from, count), across, count);
    for (let y = 0; y < rows.length / (across.cells * 3); y += 1) {
      const at = (from / reduction + y) * size * 3;
      filterLine(rows, y * across.cells * 3, 3, narrow, at, 3, weights);
    }
  }
  const square = new Uint8Array(size * size * 3);
  const columns = filterOf(down, size);
  for (let x = 0; x < size; x += 1) {
    filterLine(narrow, x * 3, size * 3, square, x * 3, size * 3, columns);
  }
  return square;
}

/** Means over squares of RGBA rows, as RGB; what sticks out at the end is a mean of what is there. */
function reduced(rgba, { length, reduction, cells }, count) {
  const lines = Math.ceil(count / reduction);
  const found = new Uint8Array(cells * lines * 3);
  const sums = new Uint32Array(cells * 3);
  for (let line = 0; line < lines; line += 1) {
    const last = Math.min((line + 1) * reduction, count);
    sums.fill(0);
    for (let y = line * reduction; y < last; y += 1) {
      for (let x = 0, from = y * length * 4, to = 0; x < length; to += 3) {
        for (const end = Math.min(x + reduction, length); x < end; x += 1, from += 4) {
          sums[to] += rgba[from];
          sums[to + 1] += rgba[from + 1];
          sums[to + 2] += rgba[from + 2];
        }
      }
    }
    const high = last - line * reduction;
    for (let cell = 0; cell < cells; cell += 1) {
      const area = high * (Math.min((cell + 1) * reduction, length) - cell * reduction);
      for (let channel = 0; channel < 3; channel += 1) {
        const at = cell * 3 + channel;
        found[line * cells * 3 + at] = Math.floor((sums[at] + area / 2) / area);
      }
    }
  }
  return found;
}

/** For each of `size` places: where its samples begin, how many they are, and their weights. */
function filterOf({ cells, end }, size) {
  const scale = end / size;
  const spread = Math.max(scale, 1);
  const support = SUPPORT * spread;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(size);
  const count = new Int32Array(size);
  const weight = new Int32Array(size * most);
  for (let place = 0; place < size; place += 1) {
    const centre = (place + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const to = Math.min(cells, Math.trunc(centre + support + 0.5));
    const raw = Array.from({ length: to - from }, (_, k) =>
      Math.max(0, 1 - Math.abs((k + from - centre + 0.5) * (1 / spread))),
    );
    const sum = raw.reduce((total, each) => total + each, 0);
    raw.forEach((each, k) => {
      weight[place * most + k] = Math.trunc(0.5 + (sum === 0 ? each : each / sum) * 2 ** PRECISION_BITS);
    });
    first[place] = from;
    count[place] = to - from;
  }
  return { first, count, weight, most };
}

/** One line of RGB through the filter; steps are from one sample of a channel to the next. */
function filterLine(source, from, sourceStep, target, to, targetStep, { first, count, weight, most }) {
  for (let place = 0; place < first.length; place += 1) {
    let [red, green, blue] = [HALF, HALF, HALF];
    let at = from + first[place] * sourceStep;
    for (let k = place * most; k < place * most + count[place]; k += 1, at += sourceStep) {
      red += source[at] * weight[k];
      green += source[at + 1] * weight[k];
      blue += source[at + 2] * weight[k];
    }
    // Weights are never below 0 and sum to 1, so nothing leaves 0 to 255 by more than rounding.
    target[to] = Math.min(255, red >> PRECISION_BITS);
    target[to + 1] = Math.min(255, green >> PRECISION_BITS);
    target[to + 2] = Math.min(255, blue >> PRECISION_BITS);
    to += targetStep;
  }
}
