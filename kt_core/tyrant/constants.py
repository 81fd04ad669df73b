"""The numbers that searches and indices of tables are told by.

Source: the Tokyo Tyrant protocol reference, sections 5.2 and 5.3.
"""

from __future__ import annotations

from typing import Final

# How a condition compares a column with its expression; the words of some are separated by spaces or commas.
OP_STR_EQ: Final = 0
OP_STR_CONTAINS: Final = 1
OP_STR_STARTSWITH: Final = 2
OP_STR_ENDSWITH: Final = 3
OP_STR_ALL: Final = 4  # has all words
OP_STR_ANY: Final = 5  # has one of the words
OP_STR_ANYEXACT: Final = 6  # is one of the words
OP_STR_REGEX: Final = 7
OP_NUM_EQ: Final = 8
OP_NUM_GT: Final = 9
OP_NUM_GE: Final = 10
OP_NUM_LT: Final = 11
OP_NUM_LE: Final = 12
OP_NUM_BETWEEN: Final = 13  # both ends included
OP_NUM_ANYEXACT: Final = 14
OP_FTS_PHRASE: Final = 15
OP_FTS_ALL: Final = 16
OP_FTS_ANY: Final = 17
OP_FTS_EXPRESSION: Final = 18

# Added to one of those.
OP_NEGATE: Final = 1 << 24
OP_NOINDEX: Final = 1 << 25

ORDER_STR_ASC: Final = 0
ORDER_STR_DESC: Final = 1
ORDER_NUM_ASC: Final = 2
ORDER_NUM_DESC: Final = 3

INDEX_STR: Final = 0
INDEX_NUM: Final = 1
INDEX_TOKEN: Final = 2
INDEX_QGRAM: Final = 3

# What is done with an index instead of making it; `IOP_KEEP` is added to its type: fail if there is one.
IOP_OPTIMIZE: Final = 9998
IOP_DELETE: Final = 9999
IOP_KEEP: Final = 1 << 24

# How the results of searches are combined.
MS_UNION: Final = 0
MS_INTERSECTION: Final = 1
MS_DIFFERENCE: Final = 2
