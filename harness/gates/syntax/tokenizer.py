"""Splits a gate's text into words with their positions, and parses the phrases that several kinds of gate share.

Every error has the position, the reason and a text that would be accepted. The tokenizer does not know the scenario, so
the scenario's checks decide whether a fault or a request of some name exists; in a fix, FAULT, UPSTREAM and REQUEST
stand for such names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.model.meant_quantities import MEANT, leading_number
from harness.model.value_types import closest
from harness.units import parse_duration_ms, parse_rate_per_s, parse_share

NAME = re.compile(r"[a-z][a-z0-9-]*")
MOST = 24 * 3_600_000.0
"""The highest quantity: a day in milliseconds, and as a number of calls or a rate more than a machine reaches."""
_PHASES = ("during", "after")
_OTHER_PHASES = ("in", "on", "at", "under", "while", "throughout")
"""What people write for `during`."""
_GLUED = re.compile(r"(\d+(?:\.\d+)?x)(baseline|main)")
_WORD = re.compile(r'"[^"]*"|[<>=]=?|[^\s<>="]+|"')
_OPERATOR = re.compile(r"[<>]=?|[=!]=?")
_UNITS: dict[Callable[[str], float], tuple[str, ...]] = {
    parse_duration_ms: ("s", "ms"),
    parse_rate_per_s: ("/s", "/m"),
    parse_share: ("%",),
}
"""The units to propose for a number that has none, or an unknown one."""
_QUANTITY_WORDS = 4
"""The most words that one quantity is spread over, as in `1 min 30 s`."""


Meant = Callable[[str], tuple[str, ...]]
"""What a text means that is no valid quantity: see `harness.model.meant_quantities`."""


class GateSyntaxError(ValueError):
    """A text that is no gate. `offset`: the position of the error in the text, from 0; `fix`: what to write instead."""

    def __init__(self, message: str, fix: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.offset = offset


class SubjectError(GateSyntaxError):
    """A gate whose comparison does not follow what it measures, as in `p99 latency < 1s`."""


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

    def skip_to(self, offset: int) -> None:
        """Move on to the text at `offset`, which may be within a word."""
        rest = (match for match in _WORD.finditer(self.text, offset))
        self._words = [*self._words[: self._next], *(Token(match[0], match.start()) for match in rest)]

    def comparison(self, op: str, fix: str) -> None:
        """Takes the one comparison `op` that this gate has. Refuses `<=` and `>=`, because gates are strict bounds."""
        word = self.take(f"`{op}`", fix)
        if word.text == f"{op}=":
            after = self.text[word.offset + len(word.text) :]
            own = f"{self.text[: word.offset]}{op}{after}" if after.strip() else fix
            raise GateSyntaxError(f"a gate is a strict bound: write `{op}` for `{op}=`", own, word.offset)
        if word.text != op:
            raise SubjectError(f"`{op}` expected, not `{word.text}`", self._compared(word, op) or fix, word.offset)

    def _compared(self, word: Token, op: str) -> str:
        """The gate's text with the missing comparison before its number; empty if there is no number."""
        before = self.text[: word.offset]
        if word.text[:1].isdigit():
            return f"{before}{op} {self.text[word.offset :]}"
        found = next((each for each in _OPERATOR.finditer(self.text, word.offset)), None)
        if found is None or found.start() == word.offset:
            after = self.text[(found.end() if found else word.offset + len(word.text)) :].lstrip()
            return f"{before}{op} {after}" if after[:1].isdigit() else ""
        skipped = self.text[word.offset : found.start()].strip()
        phase = f" {skipped}" if word.text in _PHASES else ""
        after = self.text[found.end() :].strip()
        return f"{before}{op} {after}{phase}" if after else ""

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
            own = f'for "{word.text}"' if word.text.startswith("/") else 'for "GET /offers"'
            raise GateSyntaxError(f"`{word.text}` is not a request's name; quote it", own, word.offset)
        return word.text

    def share(self, fix: str) -> float:
        """A percentage strictly between 0 and 100, as a fraction. No number of requests could decide 0 % or 100 %."""
        word = self.take("a percentage", fix)
        share = self._parsed(parse_share, word, fix)
        if not 0 < share < 1:
            raise GateSyntaxError(
                f"`{word.text}` cannot be shown by any number of requests; allow for at least one", fix, word.offset
            )
        if not 1e-6 <= share <= 1 - 1e-6:
            raise GateSyntaxError(f"no run is long enough to show `{word.text}`", fix, word.offset)
        return share

    def quantity(
        self,
        parse: Callable[[str], float],
        what: str,
        fix: str,
        *,
        most: float = MOST,
        meant: Meant | None = None,
        units: tuple[str, ...] | None = None,
    ) -> float:
        """A positive quantity with its unit. A `parse` that is not of `harness.units` comes with what a text that it
        refuses means, and with the `units` to propose for a number."""
        word = self.take(what, fix)
        value = self._parsed(parse, word, fix, meant, units)
        if value <= 0:
            raise GateSyntaxError(f"no run can keep a limit of `{word.text}`; it must be above zero", fix, word.offset)
        if value > most:
            raise GateSyntaxError(f"`{word.text}` is more than any run could show", fix, word.offset)
        return value

    def respelled(self, meant: Meant, word: Token) -> str:
        """`write `p99 < 2s`` for `p99 < 2 seconds`: the gate with the quantity that begins with `word`, and goes on in
        the words after it, in one word; empty if these are no quantity."""
        first = self._words.index(word)
        for last in reversed(self._words[first + 1 : first + _QUANTITY_WORDS]):
            end = last.offset + len(last.text)
            if quantities := meant(self.text[word.offset : end]):
                before, after = self.text[: word.offset], self.text[end:]
                return f"write {' or '.join(f'`{before}{quantity}{after}`' for quantity in quantities)}"
        return ""

    def _parsed(
        self,
        parse: Callable[[str], float],
        word: Token,
        fix: str,
        meant: Meant | None = None,
        units: tuple[str, ...] | None = None,
    ) -> float:
        try:
            return parse(word.text)
        except ValueError as exc:
            means = meant or MEANT.get(parse, _nothing)

            def usable(text: str) -> tuple[str, ...]:
                return tuple(each for each in means(text) if _is_above_zero(parse, each))

            number, _ = leading_number(word.text)
            with_unit = (f"{number}{unit}" for unit in (_UNITS.get(parse, ()) if units is None else units))
            own = usable(word.text) or tuple(each for each in with_unit if _is_above_zero(parse, each))
            own_fix = self.respelled(usable, word) or " or ".join(own)
            raise GateSyntaxError(str(exc), own_fix or fix, word.offset) from None

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


def _nothing(text: str) -> tuple[str, ...]:
    return ()


def _is_above_zero(parse: Callable[[str], float], text: str) -> bool:
    try:
        return parse(text) > 0
    except ValueError:
        return False
