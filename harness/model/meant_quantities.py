"""Quantities as people write them elsewhere (`1m30s`, `40 req/s`, `1,000`, `5kbps`), in the syntax of scenarios.

Each function returns what to propose, the likelier first; nothing where the text is no such quantity. The proposals
have the number that was written, or the same quantity in another unit where there is no other way to write it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from harness.units import (
    parse_bytes,
    parse_bytes_per_s,
    parse_duration_ms,
    parse_rate_per_s,
    parse_share,
)

_MOST_CHARACTERS: Final = 60
_NUMBER: Final = r"[0-9]{1,3}(?:[,_][0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:[.,][0-9]+)?|\.[0-9]+"
_PARTS: Final = re.compile(rf"({_NUMBER})\s*(.*)", re.DOTALL)
_LEADING: Final = re.compile(rf"({_NUMBER})(k(?![A-Za-z]))?", re.IGNORECASE)
_DURATIONS: Final = re.compile(rf"({_NUMBER})\s*([A-Za-zµ]+)\s*")
_UNITS: Final = {
    "ns": "ns", "us": "us", "µs": "µs", "ms": "ms", "s": "s", "m": "m", "h": "h",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "msec": "ms", "msecs": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "usec": "us", "microsecond": "us", "microseconds": "us", "nanosecond": "ns", "nanoseconds": "ns",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
}  # fmt: skip
_PER: Final = re.compile(
    r"(?:(?:req|reqs|request|requests|calls|hits|iterations|arrivals)?(?:/|per)|[rqth]p)([a-z]+)", re.IGNORECASE
)
_SIZE: Final = re.compile(r"([kmgt]?)(i?)(?:b|bytes?)?(?:/s|/sec|ps|persecond)?", re.IGNORECASE)
_BITS: Final = re.compile(r"([kmgt]?)(?:bps|bits?(?:/s|/sec|ps|persecond)?)", re.IGNORECASE)
_SCALE: Final = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def leading_number(text: str) -> tuple[str, str]:
    """The decimal number that the text begins with, without separators (`1000` for `1,000` and `1k`), and what follows
    it; both empty if it does not begin with one."""
    match = _LEADING.match(text[:_MOST_CHARACTERS])
    if match is None:
        return "", ""
    number = _plain(match[1])
    return f"{float(number) * 1000:.15g}" if match[2] else number, text[match.end() :]


def numbers_meant(text: str) -> tuple[str, ...]:
    """`1000` for `1,000` and `1k`."""
    number, rest = leading_number(text.strip())
    return (number,) if number and not rest else ()


def durations_meant(text: str) -> tuple[str, ...]:
    """`5s` for `5 sec`, `90s` for `1m30s`."""
    text = text.strip()
    if len(text) > _MOST_CHARACTERS:
        return ()
    parts, end = [], 0
    while match := _DURATIONS.match(text, end):
        unit = _UNITS.get(match[2], _UNITS.get(match[2].lower()))
        if unit is None:
            return ()
        parts.append(f"{_plain(match[1])}{unit}")
        end = match.end()
    if not parts or end < len(text):
        return ()
    if len(parts) == 1:
        return (parts[0],)
    total_ms = sum(parse_duration_ms(part) for part in parts)
    in_s = total_ms >= 1000 and total_ms % 1000 == 0
    return (f"{total_ms / 1000:.15g}s" if in_s else f"{total_ms:.15g}ms",)


def rates_meant(text: str) -> tuple[str, ...]:
    """`40/s` for `40rps`, `40 req/s` and `40 per second`."""
    number, unit = leading_number(text.strip())
    match = _PER.fullmatch("".join(unit.split())) if number else None
    per = _UNITS.get(match[1].lower(), "") if match else ""
    return (f"{number}/{per}",) if per in ("s", "m", "h") else ()


def shares_meant(text: str) -> tuple[str, ...]:
    """`5%` for `5 percent` and for `5`; `2%` or `0.02%` for `0.02`."""
    match = _PARTS.fullmatch(text.strip()[:_MOST_CHARACTERS])
    if match is None or "".join(match[2].lower().split()) not in ("", "%", "percent", "pct"):
        return ()
    number = _plain(match[1])
    as_written = f"{number}%"
    if match[2] or not 0 < float(number) < 1:
        return (as_written,)
    return (f"{round(100 * float(number), 9):g}%", as_written)


def sizes_meant(text: str) -> tuple[str, ...]:
    """`300MB` for `300 mb` and `300M`."""
    match = _PARTS.fullmatch(text.strip()[:_MOST_CHARACTERS])
    unit = _SIZE.fullmatch(match[2].replace(" ", "")) if match else None
    if match is None or unit is None or not match[2]:
        return ()
    scale = unit[1].upper() if unit[2] or unit[1].lower() != "k" else "k"
    return (f"{_plain(match[1])}{scale}{'i' if unit[2] and scale else ''}B",)


def bandwidths_meant(text: str) -> tuple[str, ...]:
    """`5kB/s` for `5 kb/s`; also `625B/s` for `5kbps`, which may be bits."""
    match = _PARTS.fullmatch(text.strip()[:_MOST_CHARACTERS])
    bits = _BITS.fullmatch(match[2].replace(" ", "")) if match else None
    if match is None or bits is None:
        return tuple(f"{size}/s" for size in sizes_meant(text))
    number, scale = _plain(match[1]), bits[1].lower()
    size = float(number) * _SCALE[scale] / 8
    least = next((each for each in ("T", "G", "M", "k") if size >= _SCALE[each.lower()]), "")
    in_bytes = f"{size / _SCALE[least.lower()]:.15g}{least}B/s"
    return (f"{number}{scale if scale == 'k' else scale.upper()}B/s", in_bytes)


MEANT: Final[dict[Callable[[str], float], Callable[[str], tuple[str, ...]]]] = {
    parse_duration_ms: durations_meant,
    parse_rate_per_s: rates_meant,
    parse_share: shares_meant,
    parse_bytes: sizes_meant,
    parse_bytes_per_s: bandwidths_meant,
}
"""By the parser of `harness.units` that refused the text."""


def _plain(number: str) -> str:
    """Without separators of thousands; a comma that is none separates the decimals."""
    if re.fullmatch(r"[0-9]{1,3}(?:[,_][0-9]{3})+(?:\.[0-9]+)?", number):
        return re.sub("[,_]", "", number)
    return number.replace(",", ".")
