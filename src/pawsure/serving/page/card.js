// The card of one picture and its answer.

import { drawHeat } from "./heat.js";
import { facts, howSure, kind, percent, words } from "./words.js";

const MOST_BARS = 4;

/** Creates the card of an item; `actions` has remove(item) and again(item). */
export function makeCard(item, actions) {
  const card = document.getElementById("card").content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  const image = find("img");
  item.card = card;
  item.address = URL.createObjectURL(item.file);
  image.addEventListener("load", () => {
    item.size = [image.naturalWidth, image.naturalHeight];
    showHeat(item);
  });
  image.addEventListener("error", () => {
    image.hidden = true;
    find(".no-preview").hidden = false;
  });
  image.src = item.address;
  find(".name").textContent = item.name;
  find(".name").title = item.name;
  find(".remove").setAttribute("aria-label", `Remove ${item.name}`);
  find(".remove").addEventListener("click", () => actions.remove(item));
  find(".again").addEventListener("click", () => actions.again(item));
  find(".picture").addEventListener("click", () => pressHeat(item, !isPressed(item)));
  show(item);
  return card;
}

/** Updates the card of an item. */
export function show(item) {
  const { card, state } = item;
  const find = (selector) => card.querySelector(selector);
  const text = state === "done" ? words(item.answer) : otherWords(item);
  card.className = `card ${state === "done" ? kind(item.answer) : state}`;
  card.setAttribute("aria-busy", String(state === "waiting"));
  find("strong").textContent = text.headline;
  find(".why").textContent = text.why;
  find(".how-sure").textContent = state === "done" && kind(item.answer) === "sure" ? howSure(item.answer.probability) : "";
  find(".bars").replaceChildren(...(state === "done" ? bars(item.answer) : []));
  if (find(".facts")) find(".facts").textContent = state === "done" ? facts(item.answer) : "";
  find(".again").hidden = !(state === "failed" && item.passing);
  const hasMap = state === "done" && Boolean(item.answer.evidence);
  find(".picture").disabled = !hasMap;
  find(".picture").setAttribute("aria-label", `Heat map of ${item.name}${hasMap ? ` for ${item.answer.label}` : ""}`);
  showHeat(item);
}

export function pressHeat(item, pressed) {
  if (item.state === "done" && item.answer.evidence) item.card.querySelector(".picture").setAttribute("aria-pressed", String(pressed));
}

function isPressed(item) {
  return item.card.querySelector(".picture").getAttribute("aria-pressed") === "true";
}

function otherWords({ state, error }) {
  if (state === "failed") return { headline: "No answer", why: error };
  return { headline: "Working…", why: "" };
}

function showHeat(item) {
  if (item.state === "done" && item.size && item.answer.evidence) {
    drawHeat(item.card.querySelector("canvas"), item.answer.evidence, ...item.size);
  }
}

function bars(answer) {
  const sorted = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  return sorted.slice(0, MOST_BARS).flatMap(([label, probability], index) => {
    const name = document.createElement("dt");
    name.textContent = name.title = label;
    const bar = document.createElement("dd");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    const filled = document.createElement("i");
    filled.style.setProperty("--part", probability);
    bar.append(filled);
    const number = document.createElement("dd");
    number.className = "percent";
    number.textContent = percent(probability);
    if (index === 0) name.className = "first";
    return [name, bar, number];
  });
}
