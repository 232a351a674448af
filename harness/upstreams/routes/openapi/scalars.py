"""Samples of texts and numbers. Pure."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from typing import Any, Final

_TRIES: Final = 30
_LETTERS: Final = ("bdfgklmnprstvz", "aeiou")


def text_of(flat: dict[str, Any], random: Random, room: int) -> str:
    """A text by `format`, `minLength` and `maxLength`, of at most `room` characters. Where a format does not fit the
    lengths, the lengths count."""
    least = max(math.ceil(flat.get("minLength", 0)), 0)
    most = max(math.floor(min(flat.get("maxLength", room), room)), 0)
    text = _formatted(flat.get("format", ""), random)
    if text is not None and least <= len(text) <= most:
        return text
    length = min(max(least, 6), most)
    return "".join(random.choice(_LETTERS[index % 2]) for index in range(length))


def _formatted(kind: str, random: Random) -> str | None:
    draw = random.randrange
    date = f"20{draw(10, 30)}-{draw(1, 13):02}-{draw(1, 29):02}"
    time = f"{draw(24):02}:{draw(60):02}:{draw(60):02}Z"
    digits, number = f"{random.getrandbits(128):032x}", draw(1, 1_000)
    return {
        "date": date,
        "date-time": f"{date}T{time}",
        "time": time,
        "duration": f"PT{number}M",
        "uuid": f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}",
        "email": f"user{number}@example.com",
        "idn-email": f"user{number}@example.com",
        "uri": f"https://example.com/{number}",
        "url": f"https://example.com/{number}",
        "iri": f"https://example.com/{number}",
        "uri-reference": f"/{number}",
        "ipv4": f"192.0.2.{draw(1, 255)}",
        "ipv6": f"2001:db8::{number}",
        "hostname": f"host{number}.example.com",
        "byte": ("c2FtcGxl", "dGVzdA==", "ZGF0YQ==", "dmFsdWU=")[draw(4)],
        "json-pointer": f"/{number}",
        "regex": f"a{{{number}}}",
    }.get(kind)


def number_of(flat: dict[str, Any], random: Random, *, whole: bool) -> int | float:
    """A number within the limits, as an integer if it has no fraction. Without limits it lies between 1 and 100. Where
    no number fits, one that breaks a rule."""
    least, most = _range(flat)
    for unit in _units(flat, most - least, whole=whole):
        first, last = math.ceil(least / unit), math.floor(most / unit)
        drawn = [random.randint(first, last) for _ in range(_TRIES)] if first <= last else []
        for count in (*drawn, first, first + 1, last - 1, last, 0):
            value = _plain(count * unit)
            if _holds(value, flat, least, most):
                return value
    return _plain(Fraction(math.ceil(least)) if whole else least)


def _range(flat: dict[str, Any]) -> tuple[Fraction, Fraction]:
    lows = [Fraction(flat[key]) for key in ("minimum", "exclusiveMinimum") if key in flat]
    highs = [Fraction(flat[key]) for key in ("maximum", "exclusiveMaximum") if key in flat]
    if not lows:
        lows = [min(Fraction(1), min(highs) - 100)] if highs and min(highs) < 100 else [Fraction(1)]
    step = max(Fraction(str(flat.get("multipleOf", 1))), Fraction(1))
    return max(lows), min(highs, default=max(lows) + 99 * step)


def _units(flat: dict[str, Any], width: Fraction, *, whole: bool) -> list[Fraction]:
    """What a value may be a multiple of, the best first."""
    if "multipleOf" in flat:
        step = Fraction(str(flat["multipleOf"]))
        return [Fraction(step.numerator) if whole else step]
    if whole:
        return [Fraction(1)]
    return [Fraction(1, 100), width / 64] if width > 0 else [Fraction(1, 100), Fraction(1, 10**12)]


def _holds(value: int | float, flat: dict[str, Any], least: Fraction, most: Fraction) -> bool:
    if not least <= Fraction(value) <= most or value in (flat.get("exclusiveMinimum"), flat.get("exclusiveMaximum")):
        return False
    try:
        return "multipleOf" not in flat or (value / flat["multipleOf"]) % 1 == 0
    except OverflowError:
        return False


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
