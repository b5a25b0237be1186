"""The check of the capstone: whether the named shortcut is the right one, and not what it is."""

import hashlib
from typing import Any

from .answers import AnswerError, checker, read_letters

SUSPECTS = "abcdefghijklmnopqr"
DIGESTS = {1: "4679a6648df8", 2: "e1ab300ce1fa", 3: "5f5193e2b5a6"}


@checker
def check_capstone(level: Any, answer: Any) -> str:
    """One letter of the page's list of suspects, for level 1, 2 or 3."""
    letters = read_letters(answer, SUSPECTS)
    if level not in DIGESTS:
        raise AnswerError(f"There are levels 1, 2 and 3, but none of {level!r:.30}.")
    if len(letters) > 1:
        raise AnswerError("Name one suspect at a time: which would your experiments convict?")
    digest = hashlib.sha256(f"capstone {level} {letters[0]}".encode()).hexdigest()[:12]
    if digest == DIGESTS[level]:
        return "Right: this went along with the prize. Does your report say how you know?"
    return "Not this one. Which of your experiments could have ruled it out?"
