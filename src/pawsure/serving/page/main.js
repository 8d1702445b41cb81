// The page: accepts pictures and shows a card for each.

import * as api from "./api.js";
import { makeCard, pressHeat, show } from "./card.js";
import { capital, csv, list, rules, summary } from "./words.js";

const byId = (id) => document.getElementById(id);
const items = [];
let labels = [];
let limits = null;

// Input

byId("choose").addEventListener("click", () => byId("files").click());
byId("photograph").addEventListener("click", () => byId("camera").click());
for (const id of ["files", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
}

let inside = 0;
window.addEventListener("dragenter", (event) => {
  event.preventDefault();
  inside += 1;
  byId("drop").classList.add("over");
});
window.addEventListener("dragleave", () => {
  inside -= 1;
  if (inside <= 0) byId("drop").classList.remove("over");
});
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", async (event) => {
  event.preventDefault();
  inside = 0;
  byId("drop").classList.remove("over");
  add(await filesOf(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) {
    event.preventDefault();
    add(files);
  }
});

/** The dropped files, including those in folders. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const entries = [];
  for (;;) {
    // At most a hundred at a time, and none at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(entries.map(walk))).flat();
    entries.push(...some.filter((inner) => !inner.name.startsWith(".")));
  }
}

// Items

function add(files) {
  if (!files.length) return;
  notice("");
  const added = files.map((file) => ({
    file,
    name: file.name || "pasted picture",
    state: "waiting",
    stop: new AbortController(),
  }));
  items.unshift(...added);
  byId("cards").prepend(...added.map((item) => makeCard(item, { remove, again: ask })));
  showAll();
  added.forEach(ask);
}

async function ask(item) {
  item.state = "waiting";
  show(item);
  showAll();
  try {
    if (limits && item.file.size > limits.max_picture_bytes) {
      throw new Error(`The file is larger than ${Math.floor(limits.max_picture_bytes / 1048576)} MB; make it smaller.`);
    }
    item.answer = await api.predict(item.file, item.stop.signal);
    item.state = "done";
  } catch (error) {
    if (item.stop.signal.aborted) return;
    item.state = "failed";
    item.error = error.message;
    item.passing = error.passing ?? false;
  }
  show(item);
  pressHeat(item, byId("heat-all").getAttribute("aria-pressed") === "true");
  showAll();
}

function remove(item) {
  const next = item.card.nextElementSibling ?? item.card.previousElementSibling;
  forget(item);
  showAll();
  // Keeps the keyboard focus in place.
  (next?.querySelector(".remove") ?? byId("choose")).focus();
}

function forget(item) {
  item.stop.abort();
  URL.revokeObjectURL(item.address);
  item.card.remove();
  items.splice(items.indexOf(item), 1);
}

let announced = 0;
function showAll() {
  const done = items.filter((item) => item.state !== "waiting").length;
  const working = done < items.length;
  document.body.classList.toggle("has-results", items.length > 0);
  byId("results").hidden = !items.length;
  const progress = byId("progress");
  progress.hidden = !working || items.length < 2;
  progress.setAttribute("aria-valuemax", items.length);
  progress.setAttribute("aria-valuenow", done);
  progress.style.setProperty("--done", items.length ? done / items.length : 0);
  byId("csv").disabled = byId("heat-all").disabled = !done;
  // Some models have no heat maps.
  const answers = items.filter((item) => item.state === "done").map((item) => item.answer);
  byId("heat-all").hidden = byId("legend-heat").hidden = answers.length > 0 && !answers.some((answer) => answer.evidence);
  // Screen readers read it aloud: not after each of a hundred pictures, but now and then.
  clearTimeout(announced);
  announced = setTimeout(() => (byId("summary").textContent = summary(items)), working ? 120 : 0);
}

// Actions on all items

byId("heat-all").addEventListener("click", (event) => {
  const pressed = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", String(pressed));
  items.forEach((item) => pressHeat(item, pressed));
});
byId("csv").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([csv(items, labels)], { type: "text/csv" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: "answers.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
});
byId("clear").addEventListener("click", () => {
  [...items].forEach(forget);
  showAll();
  byId("choose").focus();
});

// The model and the token

api.onTokenNeeded(async () => {
  const dialog = byId("token-dialog");
  byId("token").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "ok" ? byId("token").value.trim() : null;
});

byId("token-cancel")?.addEventListener("click", () => byId("token-dialog").close());

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

async function introduce() {
  try {
    const card = await api.model();
    labels = card.labels;
    limits = card.limits;
    const few = labels.length <= 6;
    if (few) byId("title").textContent = `${capital(list(labels, "or"))}?`;
    const what = few ? list(labels, "or") : `one of ${labels.length} labels`;
    byId("subtitle").textContent = `Classifies pictures as ${what}, with probabilities and heat maps.`;
    byId("model").textContent = `Model: ${card.name}${card.backbone ? `, ${card.backbone}` : ""}, ${card.size_px} × ${card.size_px} pixels`;
    for (const [kind, sentence] of Object.entries(rules(card.thresholds))) {
      byId(`legend-${kind}`).hidden = !sentence;
      byId(`legend-${kind}`).querySelector("p").textContent = sentence;
    }
    document.title = `pawsure: ${few ? list(labels, "or") : card.name}`;
  } catch (error) {
    notice(error.message);
  }
}

introduce();
