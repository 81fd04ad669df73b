"""Words of texts as a full text search sees them: without case, accents and widths.

Source: the Tokyo Tyrant protocol reference, section 5.2.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_PHRASE: Final = re.compile(r'\s*(?:"([^"]*)"?|(&&|\|\|)|((?:(?!&&|\|\|)[^\s"])+))')


@lru_cache(1024)  # the same expression is compared with every row
def normalize(text: bytes) -> bytes:
    """Return a text in lower case, without accents, in narrow letters, with single spaces."""
    plain = unicodedata.normalize("NFKD", text.decode("utf-8", "replace"))
    plain = "".join([letter for letter in plain if not unicodedata.combining(letter)])
    return " ".join(plain.lower().split()).encode()


def phrases(text: bytes) -> list[list[bytes]]:
    """Return the groups of phrases that an expression asks for, of each of which one has to be there.

    Between phrases stands ``||`` for one of them, or ``&&`` or nothing for both; the first binds closer.
    """
    groups: list[list[bytes]] = []
    alternative = False
    for quoted, operator, word in _PHRASE.findall(text.decode("utf-8", "replace")):
        if operator:
            alternative = operator == "||"
            continue
        phrase = normalize((quoted or word).encode())
        if not phrase:
            continue
        if alternative and groups:
            groups[-1].append(phrase)
        else:
            groups.append([phrase])
        alternative = False
    return groups
