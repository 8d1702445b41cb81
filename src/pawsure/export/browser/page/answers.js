// What a model's outputs say of one picture, as pawsure's predictor says it in Python
// (pawsure.model.answer.decide, pawsure.model.evidence.relative_evidence).

const SURE_OF_ONE = 1e-12;

/**
 * The answer for one picture.
 *
 * `outputs` are typed arrays by name: probability (K), evidence (h x w x K) with `shape` [h, w],
 * and, where the model has it, familiarity (1).
 */
export function answerOf({ probability, evidence, shape, familiarity }, { labels, thresholds }) {
  const best = probability.reduce((most, value, column) => (value > probability[most] ? column : most), 0);
  const known = familiarity ? familiarity[0] : null;
  return {
    answer: decide(labels[best], probability[best], known, thresholds),
    label: labels[best],
    probability: probability[best],
    probabilities: Object.fromEntries(labels.map((label, column) => [label, probability[column]])),
    familiarity: known,
    // A network that tells no places apart has no map.
    evidence: shape[0] * shape[1] > 1 ? relativeEvidence(evidence, shape, probability, best) : null,
  };
}

/** A strange picture is "neither" before it is "unsure": its probabilities mean nothing. */
export function decide(label, probability, familiarity, thresholds) {
  const { neither_below: neither, unsure_below: unsure } = thresholds;
  if (neither !== null && familiarity !== null && familiarity < neither) return "neither";
  if (unsure !== null && probability < unsure) return "unsure";
  return label;
}

/** Rows of what each place says for one label rather than for the others. */
export function relativeEvidence(evidence, [height, width], probability, label) {
  let weight = Array.from(probability, (value, column) => (column === label ? 0 : value));
  if (sum(weight) < SURE_OF_ONE) weight = fromLogits(evidence, probability.length, label);
  const total = sum(weight);
  const direction = weight.map((value, column) => (column === label ? 1 : -value / total));
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => {
      const place = (y * width + x) * direction.length;
      return sum(direction.map((each, column) => each * evidence[place + column]));
    }),
  );
}

/** The same weights where the label's probability has rounded to 1. */
function fromLogits(evidence, numLabels, label) {
  const logit = Array.from({ length: numLabels }, () => 0);
  evidence.forEach((value, at) => (logit[at % numLabels] += (value * numLabels) / evidence.length));
  const most = Math.max(...logit.filter((_, column) => column !== label));
  return logit.map((value, column) => (column === label ? 0 : Math.exp(value - most)));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
