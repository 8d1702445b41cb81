// Draws evidence as a heat map, in the proportions of its picture, so that both can be cut
// alike by object-fit.

const LONGEST = 160;
// Dark violet to orange to yellow: brightness rises all the way, so it reads without colour.
const STOPS = [
  [0.0, [59, 15, 112]],
  [0.35, [140, 41, 129]],
  [0.6, [222, 73, 104]],
  [0.8, [254, 159, 109]],
  [1.0, [252, 253, 191]],
];
const MOST_OPAQUE = 0.78;

/** Fills a canvas with evidence (rows of numbers) for a picture of width x height. */
export function drawHeat(canvas, evidence, width, height) {
  const scale = LONGEST / Math.max(width, height);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const wide = evidence.map((row) => spread(row, canvas.width));
  const columns = Array.from({ length: canvas.width }, (_, x) => spread(wide.map((row) => row[x]), canvas.height));
  const largest = columns.reduce((most, column) => Math.max(most, ...column), 1e-6);
  for (let x = 0; x < canvas.width; x += 1) {
    for (let y = 0; y < canvas.height; y += 1) {
      paint(image.data, 4 * (y * canvas.width + x), Math.max(0, columns[x][y] / largest));
    }
  }
  context.putImageData(image, 0, 0);
}

/** A row of new length through cells, by cubic B-splines: no seams, nothing that was not there. */
function spread(cells, length) {
  return Array.from({ length }, (_, index) => {
    const place = ((index + 0.5) / length) * cells.length - 0.5;
    const before = Math.floor(place);
    const t = place - before;
    const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return weights.reduce((sum, weight, tap) => {
      const cell = Math.min(Math.max(before - 1 + tap, 0), cells.length - 1);
      return sum + (weight / 6) * cells[cell];
    }, 0);
  });
}

function paint(data, at, value) {
  const above = STOPS.findIndex(([stop]) => stop >= value);
  const [from, to] = [STOPS[Math.max(0, above - 1)], STOPS[Math.max(0, above)]];
  const part = to[0] > from[0] ? (value - from[0]) / (to[0] - from[0]) : 0;
  for (let channel = 0; channel < 3; channel += 1) {
    data[at + channel] = from[1][channel] + part * (to[1][channel] - from[1][channel]);
  }
  // What said little stays clear, so that the picture can be seen.
  data[at + 3] = 255 * MOST_OPAQUE * value ** 1.5;
}
