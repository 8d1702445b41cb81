// The texts of the page; nothing here changes the page.

const percentForm = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const fineForm = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A probability for people; 100% and 0% only if it is exactly that. */
export function percent(probability) {
  if (probability > 0.995) return probability >= 0.9995 ? ">99.9%" : fineForm.format(probability);
  if (probability < 0.005 && probability > 0) return probability < 0.0005 ? "<0.1%" : fineForm.format(probability);
  return percentForm.format(probability);
}

/** The confidence of a label, in words. */
export function howSure(probability) {
  if (probability >= 0.995) return "almost certain";
  if (probability >= 0.9) return "very likely";
  if (probability >= 0.7) return "likely";
  return "perhaps";
}

/** "cat", "cat or dog", "cat, dog or fish". */
export function list(labels, word) {
  if (labels.length < 2) return labels.join("");
  return `${labels.slice(0, -1).join(", ")} ${word} ${labels.at(-1)}`;
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** sure, unsure or neither: decides colour, mark and text. */
export function kind(answer) {
  return answer.answer === answer.label ? "sure" : answer.answer;
}

/** The headline and the sentence under it. */
export function words(answer) {
  const sorted = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  const [first, second] = sorted;
  if (kind(answer) === "unsure") {
    return {
      headline: "Unsure",
      why: `${capital(first[0])} ${percent(first[1])}, ${second[0]} ${percent(second[1])}: too close to call.`,
    };
  }
  if (kind(answer) === "neither") {
    return {
      headline: sorted.length === 2 ? "Neither" : "None of these",
      why: `Looks like ${withArticle(answer.label)}, but unlike the pictures this model was trained on.`,
    };
  }
  return { headline: capital(answer.label), why: "" };
}

/** "a dog", "an okapi"; labels that are not plain words in quotes. */
function withArticle(label) {
  const word = label.replaceAll("_", " ").trim();
  if (!/^[A-Za-z][A-Za-z ]*$/.test(word)) return `“${label}”`;
  return `${/^[aeiou]/i.test(word) ? "an" : "a"} ${word}`;
}

/** Further figures of an answer, in a line. */
export function facts({ familiarity, milliseconds }) {
  const parts = familiarity === null ? [] : [`familiarity ${percent(familiarity)}`];
  if (milliseconds !== undefined) parts.push(`${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`);
  return parts.join(" · ");
}

/** When the model answers "unsure" and "neither"; null if it never does. */
export function rules({ unsure_below: unsure, neither_below: neither }) {
  return {
    unsure: unsure && `No label has a probability of at least ${percent(unsure)}.`,
    neither: neither && `Less similar to the training pictures than ${percent(1 - neither)} of the validation pictures, changed at random.`,
  };
}

/** The line above all cards. */
export function summary(items) {
  const done = items.filter((item) => item.state !== "waiting");
  const counts = new Map();
  for (const item of done) {
    const name = item.state === "failed" ? "without an answer" : item.answer.answer;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${count} ${name}`);
  const total = `${items.length} ${items.length === 1 ? "picture" : "pictures"}`;
  const waiting = items.length - done.length;
  if (waiting) parts.push(`${waiting} to go`);
  return parts.length ? `${total}: ${parts.join(", ")}` : total;
}

/** A table for spreadsheets (RFC 4180); formulas are quoted as text. */
export function csv(items, labels) {
  const head = ["path", "answer", "label", "probability", ...labels.map((label) => `probability_${label}`), "familiarity", "error"];
  const rows = items
    .filter((item) => item.state !== "waiting")
    .map((item) =>
      item.state === "failed"
        ? [item.name, "", "", "", ...labels.map(() => ""), "", item.error]
        : [
            item.name,
            item.answer.answer,
            item.answer.label,
            item.answer.probability,
            ...labels.map((label) => item.answer.probabilities[label]),
            item.answer.familiarity ?? "",
            "",
          ],
    );
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
