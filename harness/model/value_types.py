"""Value types of scenario fields: `Duration`, `Rate`, `Share`, `Bytes`, `Name`. Their errors carry a fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.meant_quantities import MEANT, leading_number
from harness.units import parse_bytes, parse_bytes_per_s, parse_duration_ms, parse_rate_per_s, parse_share

RESERVED: Final = ("baseline", "whole", "warmup", "guard", "tail", "main", "gateway", "service", "all", "port")
NAME_PATTERN: Final = r"^[a-z][a-z0-9-]*$"
LONGEST_MS: Final = 24 * 3_600_000.0
_WORD_MOST: Final = 60
_LISTED_MOST: Final = 20


def refusal(
    message: str, fix: str = "", *, at_key: bool = False, is_secret: bool = False, meant_key: str | None = None
) -> PydanticCustomError:
    """A pydantic error that carries its fix; `at_key` puts the caret under the key, not the value. `is_secret`: the
    value is one, so it is not shown. `meant_key`: for an unknown key, the known one that is similar, empty if none is;
    None: no key is unknown."""
    # the text is passed as context, since pydantic would interpret braces in the message template
    context = {"message": message, "fix": fix, "at_key": at_key, "is_secret": is_secret, "meant_key": meant_key}
    return PydanticCustomError("problem", "{message}", context)


def closest(word: str, known: Iterable[str]) -> str:
    """The known name that is most similar to `word`; empty if none is similar."""
    if len(word) > _WORD_MOST:  # comparing is quadratic in the length
        return ""
    import difflib  # a late import, since most names are right

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "remove it") -> str:
    """A fix: `did you mean `x`?`, else the names to choose from; `otherwise` if there are none."""
    names = list(known)
    close = closest(word, names)
    if close:
        return f"did you mean `{close}`?"
    if len(names) < 2:
        return f"there is only `{names[0]}`" if names else otherwise
    listed = [f"`{name}`" for name in names[:_LISTED_MOST]] + (["…"] if len(names) > _LISTED_MOST else [])
    return f"choose one of {', '.join(listed)}"


def written(text: Any) -> Any:
    """A default in the syntax of scenarios, validated like a written value. Typed Any, so that it fits every field."""
    return text


def kind_of(value: Any) -> str:
    """What a YAML value is, in words: `the number 30`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text `{shortened(value)}`"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def shortened(text: str) -> str:
    """At most 40 characters, for a message."""
    return text if len(text) <= 40 else f"{text[:37]}…"


def not_text(value: Any) -> PydanticCustomError:
    """The error for a value that should be text."""
    trapped = _unquoted_template(value)
    if trapped:
        return refusal(f"YAML reads the unquoted {{{trapped}}} as a mapping", f'put it in quotes: "{{{trapped}}}"')
    return refusal(f"expected text, not {kind_of(value)}", _quoted(value))


def _unquoted_template(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        (key, inner), *_ = value.items()
        if inner is None and re.fullmatch(r"[a-z][a-z0-9.-]*", key):
            return str(key)
    return ""


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return f'put it in quotes: "{str(value).lower()}"'
    return f'put it in quotes: "{value}"' if isinstance(value, int | float) else ""


# ---------------------------------------------------------------- quantities


@dataclass(frozen=True, slots=True)
class _Quantity:
    """Parses one kind of quantity. Raises PydanticCustomError with a fix."""

    noun: str
    examples: tuple[str, ...]
    units: tuple[str, str]
    """Units to suggest for a bare number: `30s` or `30ms`."""
    parse: Callable[[str], float]
    least: float = 0.0
    most: float = LONGEST_MS
    least_text: str = ""
    most_text: str = "24h"

    def __call__(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise refusal(f"expected {self.noun}, not {kind_of(value)}", self._write())
        if not isinstance(value, str):
            if self.parse is parse_share and 0 < value <= 1:  # 0.5 may mean 50% or 0.5%
                raise refusal(f"{value} has no unit", f"write {100 * value:g}% or {value:g}%")
            raise refusal(f"{value} has no unit", self._with_units(value))
        try:
            number = self.parse(value)
        except ValueError:
            raise refusal(f"`{shortened(value)}` is not {self.noun}", self._meant(value)) from None
        if number < self.least:
            raise refusal(f"`{shortened(value)}` is too small here", f"write at least {self.least_text}")
        if number > self.most:
            raise refusal(f"`{shortened(value)}` is too large here", f"write at most {self.most_text}")
        return number

    def _meant(self, value: str) -> str:
        number, _ = leading_number(value.strip())
        if number != value.strip() and (meant := MEANT[self.parse](value)):
            return f"write {' or '.join(meant)}"
        return self._with_units(number) if number else self._write()

    def _with_units(self, number: object) -> str:
        return f"write {' or '.join(dict.fromkeys(f'{number}{unit}' for unit in self.units))}"

    def _write(self) -> str:
        return f"write {', '.join(self.examples[:-1])} or {self.examples[-1]}"


def _string(pattern: str, description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": description, "examples": list(examples)}
    )


_NUM: Final = r"^(\d+(\.\d+)?|\.\d+)\s*"
_DURATION_JSON: Final = _string(
    rf"{_NUM}(ns|us|µs|ms|s|m|h)$", "Duration with its unit: 250ms, 1.5s, 2m", "250ms", "1.5s", "2m"
)
_DURATION_WORDS: Final = ("a duration", ("250ms", "1.5s", "2m"), ("s", "ms"))

Duration = Annotated[float, BeforeValidator(_Quantity(*_DURATION_WORDS, parse_duration_ms)), _DURATION_JSON]
"""Milliseconds, zero allowed, at most a day."""
LongerDuration = Annotated[
    float,
    BeforeValidator(_Quantity(*_DURATION_WORDS, parse_duration_ms, least=1.0, least_text="1ms")),
    _DURATION_JSON,
]
"""Milliseconds, at least one."""
Rate = Annotated[
    float,
    BeforeValidator(
        _Quantity("a rate", ("40/s", "90/m"), ("/s", "/m"), parse_rate_per_s, most=100_000, most_text="100000/s")
    ),
    _string(rf"{_NUM}/\s*(s|m|h)$", "Arrivals per unit of time: 40/s, 90/m", "40/s", "90/m"),
]
"""Per second."""
Share = Annotated[
    float,
    BeforeValidator(_Quantity("a share", ("0.5%", "100%"), ("%", "%"), parse_share)),
    _string(rf"{_NUM}%$", "Percentage from 0% to 100%", "0.5%", "99%"),
]
"""A fraction of one."""
Bytes = Annotated[
    int,
    BeforeValidator(_Quantity("a size", ("64kB", "1MiB"), ("kB", "B"), parse_bytes, 1, 10**12, "1B", "1000GB")),
    _string(rf"{_NUM}(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)$", "Size with its unit: 64kB, 1MiB", "64kB", "1MiB"),
]
BytesPerSecond = Annotated[
    int,
    BeforeValidator(
        _Quantity(
            "a bandwidth", ("64kB/s", "1MB/s"), ("kB/s", "B/s"), parse_bytes_per_s, most=10**12, most_text="1000GB/s"
        )
    ),
    _string(rf"{_NUM}(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)(/s)?$", "Bytes per second: 64kB/s, 1MB/s", "64kB/s", "1MB/s"),
]


# ---------------------------------------------------------------- names


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise refusal(f"expected a name, not {kind_of(value)}", _quoted(value))
    if value in RESERVED:
        raise refusal(f"`{value}` is a reserved name", f"choose another; reserved are {', '.join(RESERVED)}")
    if not re.fullmatch(NAME_PATTERN, value):
        meant = name_meant(value)
        raise refusal(
            f"`{value}` is not a name: a lowercase letter, then lowercase letters, digits and `-`",
            f"write `{meant}`" if meant else "",
        )
    return value


def name_meant(text: str) -> str:
    """The most similar valid name, such as `gcp` for `GCP`; empty if there is none."""
    guess = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")
    return guess if re.fullmatch(NAME_PATTERN, guess) and guess not in RESERVED else ""


Name = Annotated[
    str,
    BeforeValidator(_name),
    _string(NAME_PATTERN, "A lowercase letter, then lowercase letters, digits and -", "azure"),
]
