"""Splits a gate's text into words with their positions, and parses the phrases that several kinds of gate share.

Every error has the position, the reason and a text that would be accepted. The tokenizer does not know the scenario, so
the scenario's checks decide whether a fault or a request of some name exists; in a fix, FAULT, UPSTREAM and REQUEST
stand for such names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.model.value_types import closest, duration_meant
from harness.units import parse_duration_ms, parse_rate_per_s, parse_share

NAME = re.compile(r"[a-z][a-z0-9-]*")
MOST = 24 * 3_600_000.0
"""The highest quantity: a day in milliseconds, and as a number of calls or a rate more than a machine reaches."""
_PHASES = ("during", "after")
_OTHER_PHASES = ("in", "on", "at", "under", "while", "throughout")
"""What people write for `during`."""
_GLUED = re.compile(r"(\d+(?:\.\d+)?x)(baseline|main)")
_WORD = re.compile(r'"[^"]*"|[<>]=?|[^\s<>"]+|"')


class GateSyntaxError(ValueError):
    """A text that is no gate. `offset`: the position of the error in the text, from 0; `fix`: what to write instead."""

    def __init__(self, message: str, fix: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a gate's text; `offset`: its position in the text, from 0."""

    text: str
    offset: int


class Tokens:
    """A gate's text, read word by word. `take` moves to the next word, `peek` does not."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._words = [Token(match[0], match.start()) for match in _WORD.finditer(text)]
        self._next = 0

    @property
    def offset(self) -> int:
        """The position of the next word, or of the text's end."""
        return self._words[self._next].offset if self._next < len(self._words) else len(self.text)

    def peek(self) -> str:
        """The next word; empty at the end."""
        return self._words[self._next].text if self._next < len(self._words) else ""

    def take(self, what: str = "a word", fix: str = "") -> Token:
        """The next word. Raises GateSyntaxError at the end of the text, where `what` was expected."""
        if self._next == len(self._words):
            raise GateSyntaxError(f"the gate ends where {what} should follow", fix, len(self.text))
        self._next += 1
        return self._words[self._next - 1]

    def accept(self, word: str) -> bool:
        """Whether the next word is this one; if so, moves on."""
        if self.peek() != word:
            return False
        self._next += 1
        return True

    def comparison(self, op: str, fix: str) -> None:
        """Takes the one comparison `op` that this gate has. Refuses `<=` and `>=`, because gates are strict bounds."""
        word = self.take(f"`{op}`", fix)
        if word.text == f"{op}=":
            after = self.text[word.offset + len(word.text) :]
            own = f"{self.text[: word.offset]}{op}{after}" if after.strip() else fix
            raise GateSyntaxError(f"a gate is a strict bound: write `{op}` for `{op}=`", own, word.offset)
        if word.text != op:
            raise GateSyntaxError(f"`{op}` expected, not `{word.text}`", self._compared(word, op) or fix, word.offset)

    def _compared(self, word: Token, op: str) -> str:
        """The gate's text with the missing comparison before its number; empty if there is no number."""
        if word.text[:1].isdigit():
            return f"{self.text[: word.offset]}{op} {self.text[word.offset :]}"
        after = self.text[word.offset + len(word.text) :].lstrip()
        return f"{self.text[: word.offset]}{op} {after}" if after[:1].isdigit() else ""

    def name(self, what: str, fix: str) -> str:
        """A name. `what`: a phrase that begins with `an upstream's name` or `a fault's name`. `fix` is replaced by the
        gate's own text with a placeholder if that contains numbers, so that these are kept."""
        placeholder = "UPSTREAM" if "upstream" in what else "FAULT"
        at = self.offset
        has_numbers = any(char.isdigit() for char in self.text[self.text.find(" ") + 1 :])
        own = f"{self.text[:at].rstrip()} {placeholder}{self.text[at + len(self.peek()) :]}" if has_numbers else fix
        word = self.take(what, own)
        if not NAME.fullmatch(word.text):
            raise GateSyntaxError(f"`{word.text}` is not {what}", own, word.offset)
        return word.text

    def request(self) -> str | None:
        """The request of `for NAME` or `for "GET /path"`; None if the gate names none."""
        if not self.accept("for"):
            return None
        word = self.take("a request's name", 'for REQUEST, or for "GET /offers"')
        if word.text == '"':
            raise GateSyntaxError("the quote is not closed", 'for "GET /offers"', word.offset)
        if word.text.startswith('"'):
            return word.text[1:-1]
        if not NAME.fullmatch(word.text):
            raise GateSyntaxError(f"`{word.text}` is not a request's name; quote it", 'for "GET /offers"', word.offset)
        return word.text

    def share(self, fix: str) -> float:
        """A percentage strictly between 0 and 100, as a fraction. No number of requests could decide 0 % or 100 %."""
        word = self.take("a percentage", fix)
        share = _parsed(parse_share, word, f"{word.text}%" if is_number(word.text) else fix)
        if not 0 < share < 1:
            raise GateSyntaxError(
                f"`{word.text}` cannot be shown by any number of requests; allow for at least one", fix, word.offset
            )
        if not 1e-6 <= share <= 1 - 1e-6:
            raise GateSyntaxError(f"no run is long enough to show `{word.text}`", fix, word.offset)
        return share

    def quantity(self, parse: Callable[[str], float], what: str, fix: str, *, most: float = MOST) -> float:
        """A positive quantity with its unit, by one of the parsers of `harness.units`."""
        word = self.take(what, fix)
        value = _parsed(parse, word, _with_unit(parse, word.text) or fix)
        if value <= 0:
            raise GateSyntaxError(f"no run can keep a limit of `{word.text}`; it must be above zero", fix, word.offset)
        if value > most:
            raise GateSyntaxError(f"`{word.text}` is more than any run could show", fix, word.offset)
        return value

    def phase(self) -> str:
        """The phase's name, from `during baseline|whole|FAULT` or `after FAULT`; `whole` if none is given."""
        if self.accept("during"):
            return self.name("a fault's name, `baseline` or `whole`", "during FAULT")
        if self.accept("after"):
            fault = self.name("a fault's name", "after FAULT")
            return f"after {fault}"
        return "whole"

    def refuse_glued(self) -> None:
        """Refuse `1.5xbaseline`, which must be written as two words."""
        if match := _GLUED.fullmatch(self.peek()):
            fix = f"write `{match[1]} {match[2]}`, with a space"
            raise GateSyntaxError(f"`{match[0]}` is two words in one", fix, self.offset)

    def end(self) -> None:
        """Refuse any further word."""
        if self._next == len(self._words):
            return
        word = self._words[self._next]
        meant = "during" if word.text.lower() in _OTHER_PHASES else closest(word.text.lower(), _PHASES)
        fix = f"did you mean `{meant}`?" if meant else "`during FAULT` or `after FAULT` may end a gate"
        raise GateSyntaxError(f"`{word.text}` is one word too many", fix, word.offset)


def is_number(text: str) -> bool:
    """Whether the text is a decimal number without sign, exponent or unit."""
    return re.fullmatch(r"\d+(\.\d+)?|\.\d+", text) is not None


def _with_unit(parse: Callable[[str], float], text: str) -> str:
    """A correct quantity with the number that was written, to propose as a fix; empty if there is none."""
    if parse is parse_duration_ms:
        return duration_meant(text) or (f"{text}s or {text}ms" if is_number(text) else "")
    if parse is parse_rate_per_s and is_number(text):
        return f"{text}/s or {text}/m"
    return ""


def _parsed(parse: Callable[[str], float], word: Token, fix: str) -> float:
    try:
        return parse(word.text)
    except ValueError as exc:
        raise GateSyntaxError(str(exc), fix, word.offset) from None
