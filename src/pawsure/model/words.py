"""An answer in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pawsure.trust.rule import NEITHER, UNSURE

if TYPE_CHECKING:
    from pawsure.model.answer import Answer


def percent(probability: float) -> str:
    """A probability for people: never rounded to 100% or 0%."""
    if probability >= 0.9995:
        return "> 99.9%" if probability < 1 else "100%"
    if 0 < probability < 0.0005:
        return "< 0.1%"
    return (
        f"{probability:.1%}" if probability > 0.995 or probability < 0.005 else f"{probability:.0%}"
    )


def message(answer: Answer) -> str:
    """One sentence, such as "dog, > 99.9% sure."."""
    if answer.answer == UNSURE:
        ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
        return f"Too close to call: {', '.join(f'{k} {percent(v)}' for k, v in ranked[:2])}."
    if answer.answer == NEITHER:
        return (
            f"Looks like {with_article(answer.label)}, but unlike the pictures this model was "
            "trained on."
        )
    return f"{answer.label}, {percent(answer.probability)} sure."


def with_article(label: str) -> str:
    """A label with its article: "a dog", "an okapi"; in quotes if it is not a plain word."""
    word = label.replace("_", " ").strip()
    if not (word.isascii() and word.replace(" ", "").isalpha()):
        return f"“{label}”"
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
