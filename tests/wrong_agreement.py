"""Finds "1 pictures" and "1 are" in text that people read."""

from __future__ import annotations

import re
from html import unescape

# A number of digits that is 1 as a whole, with no more than one word before the plural.
_WRONG = re.compile(
    r"(?<![\d.,%/×-])1 (?:more |other |test |validation |training |exact |heat )?"
    r"(?:pictures|groups|labels|copies|near-copies|ones|mistakes|answers|maps|epochs|files"
    r"|others|are|were|have|look)\b"
)


def wrong_agreement(text: str) -> list[str]:
    """Each place where a plural follows a one; tags of HTML are passed over."""
    told = unescape(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL))
    return [match[0] for match in _WRONG.finditer(re.sub(r"\s+", " ", told))]
