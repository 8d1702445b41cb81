// Draws a heat map in a picture's proportions, so that object-fit crops both alike: warm areas
// support the label, blue areas oppose it. The same computation and constants as in
// pawsure.model.heat_map, which gives the reasons; a test compares both.

const LONGEST = 320;
const LEAST_SCALE = Math.log(9); // full strength means at least this much
const TYPICAL = 50; // the percentile of a map that is not drawn
const STRONGEST = 98; // the percentile of what stands out that is drawn at full strength
const GRID = 32; // points per side for percentiles
const MOST_OPAQUE = 0.74;
const STEPS = 255; // colours on each side

/** Fills a canvas with evidence (rows of numbers) for a picture of width x height. */
export function drawHeat(canvas, evidence, width, height) {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  image.data.set(heatMap(evidence, canvas.width, canvas.height));
  context.putImageData(image, 0, 0);
}

/** RGBA bytes, not premultiplied, height x width. */
export function heatMap(evidence, width, height) {
  const grid = spread(evidence, GRID, GRID).flat();
  const typical = percentile(grid, TYPICAL);
  const strongest = percentile(grid.map((value) => Math.abs(beyond(value, typical))), STRONGEST);
  const scale = Math.max(strongest, LEAST_SCALE);
  const colours = colourMap();
  const data = new Uint8ClampedArray(width * height * 4);
  spread(evidence, width, height).forEach((column, x) =>
    column.forEach((value, y) => {
      const share = Math.min(Math.max(beyond(value, typical) / scale, -1), 1);
      const place = 4 * (Math.round(share * STEPS) + STEPS);
      data.set(colours.subarray(place, place + 4), 4 * (y * width + x));
    }),
  );
  return data;
}

/** How far a value is above both the typical value and 0, or below both. */
function beyond(value, typical) {
  return Math.max(value - Math.max(typical, 0), 0) + Math.min(value - Math.min(typical, 0), 0);
}

/** With linear interpolation. */
function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = ((sorted.length - 1) * share) / 100;
  const before = Math.floor(place);
  const after = Math.min(before + 1, sorted.length - 1);
  return sorted[before] + (place - before) * (sorted[after] - sorted[before]);
}

/** A small map enlarged by cubic B-splines, which never overshoot; as columns. */
function spread(evidence, width, height) {
  const wide = evidence.map((row) => spreadLine(row, width));
  return Array.from({ length: width }, (_, x) => spreadLine(wide.map((row) => row[x]), height));
}

function spreadLine(cells, length) {
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

let colours = null;

/** RGBA from strongest opposition to strongest support; the middle is transparent. */
export function colourMap() {
  colours ??= Uint8ClampedArray.from(
    Array.from({ length: 2 * STEPS + 1 }, (_, step) => colour((step - STEPS) / STEPS)).flat(),
  );
  return colours;
}

/** Lightness rises in even steps (in OKLab), so that the map is legible without colour. */
function colour(share) {
  const strength = Math.abs(share);
  const warm = share > 0;
  const lightness = warm ? 0.6 + 0.24 * strength : 0.54 - 0.2 * strength;
  const chroma = warm ? 0.23 - 0.05 * strength : 0.14 + 0.06 * strength;
  const hue = ((warm ? 30 + 48 * strength : 250 + 18 * strength) * Math.PI) / 180;
  const opacity = MOST_OPAQUE * strength ** 0.9;
  return [...srgb(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue)), opacity].map((value) => Math.round(255 * value));
}

/** OKLab to sRGB (Ottosson 2020, "A perceptual color space for image processing"). */
function srgb(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((value) => {
    const linear = Math.min(Math.max(value, 0), 1);
    return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
  });
}
