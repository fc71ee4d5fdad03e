"""Recognizes the class names of mitotic figures and look-alikes, in the spellings that people use.

Everywhere else in this package the id counts: category 1 is mitotic figures, 2 is look-alikes. Names matter only when a
foreign file is converted, and to detect annotation files whose ids mean something else.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path

from mitouts.errors import AnnotationError, AnnotationWarning

MITOTIC_FIGURE = 1
HARD_NEGATIVE = 2
MEANINGS: Mapping[int, str] = {MITOTIC_FIGURE: 'mitotic figures', HARD_NEGATIVE: 'look-alikes'}

# Letters and digits alone: "Non-mitosis", "Nonmitosis" and "non_mitosis" are one name.
_FIGURE = r'(?:mitotic(?:figures?|cells?)?|mitos[ei]s|mitosen?|mitosefigur(?:en)?)'
_IMPOSTER = r'(?:impost[eo]rs?|lookalikes?|mimic(?:s|kers?)?)'
_IS_MITOTIC = re.compile(_FIGURE)
_IS_LOOK_ALIKE = re.compile(
    rf'(?:non?|not|nicht|keine?|false|pseudo)a?{_FIGURE}'
    rf'|hardnegatives?{_IMPOSTER}?'
    rf'|(?:hard)?{_IMPOSTER}'
    rf'|{_FIGURE}(?:{_IMPOSTER}|(?:hard)?negatives?|like(?:figures?|cells?)?)'
)


def known_category(name: str) -> int | None:
    """Return the category that a class name usually stands for, None for any other name."""
    plain = ''.join(filter(str.isalnum, unicodedata.normalize('NFKC', name).casefold()))
    if _IS_MITOTIC.fullmatch(plain):
        return MITOTIC_FIGURE
    return HARD_NEGATIVE if _IS_LOOK_ALIKE.fullmatch(plain) else None


def named_category(name: str, mitotic: str | None, hard_negative: str | None) -> int | None:
    """Return the category of a class name: the one the user gives it, else the usual one, else None.

    Args:
        mitotic: The class of mitotic figures; None for the usual names.
        hard_negative: The class of look-alikes, or None.
    """
    usual = known_category(name)
    for wanted, category in ((mitotic, MITOTIC_FIGURE), (hard_negative, HARD_NEGATIVE)):
        if wanted is None and usual == category:
            return category
        if wanted is not None and name.casefold() == wanted.casefold():
            return category
    return None


def check_category_names(path: Path, names: Mapping[int, str]) -> None:
    """Check that the category names of an annotation file match the meaning of their ids.

    Args:
        names: Category id -> name.

    Raises:
        AnnotationError: Category 1 has a name of look-alikes, or category 2 a name of mitotic figures. Other names of
            these two, and such a name under another id, only warn (:class:`AnnotationWarning`).
    """
    said = {number: known_category(name) for number, name in names.items()}
    for number, meaning in said.items():
        if number in MEANINGS and meaning not in (None, number):
            raise AnnotationError(
                f'{path}: category {number} is called {names[number]!r}, a name of {MEANINGS[meaning]}, but the id '
                f'decides, and {number} is that of {MEANINGS[number]}: give mitotic figures the id 1 and look-alikes '
                "2, in 'categories' and in the category_id of every annotation, or correct the name if only it is wrong"
            )
    for number, meaning in said.items():
        if number in MEANINGS and meaning is None:
            _warn(
                f'{path}: category {number} is called {names[number]!r}; the id decides, so its annotations are taken '
                f'for {MEANINGS[number]} (1 are mitotic figures, 2 look-alikes)'
            )
        elif number not in MEANINGS and meaning is not None:
            _warn(
                f'{path}: category {number} is called {names[number]!r}; the id decides, and that of '
                f'{MEANINGS[meaning]} is {meaning}, so its annotations are not taken for them (1 are mitotic figures, '
                '2 look-alikes)'
            )


def _warn(message: str) -> None:
    warnings.warn(message, AnnotationWarning, stacklevel=4)
