"""Parses quantities of scenarios (`250ms`, `40/s`, `0.5%`, `64kB`) and formats them for people.

Bare numbers are refused, since 30 could mean half a minute in one file and thirty milliseconds in the next. Internally
a duration is milliseconds (float), a rate arrivals per second, a share a fraction of one, a size bytes; recorded times
are nanoseconds of the monotonic clock.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_DURATION_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_RATE_PER_S = {"s": 1.0, "m": 1 / 60, "h": 1 / 3600}
_BYTES_MOST = 1e18  # many digits parse as infinity, which is not an integer
_BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4} | {
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}

_NUMBER = r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)"  # not \d, which matches digits of every script
_DURATION = re.compile(rf"{_NUMBER}\s*(ns|us|µs|ms|s|m|h)")
_RATE = re.compile(rf"{_NUMBER}\s*/\s*(s|m|h)")
_SHARE = re.compile(rf"{_NUMBER}\s*%")
_SIZE = re.compile(rf"{_NUMBER}\s*(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)(/s)?")


def parse_duration_ms(text: str) -> float:
    """Milliseconds in `250ms`, `1.5s`, `2m`. Raises ValueError, whose message shows valid examples."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"`{text}` is not a duration; write a number and a unit, such as 250ms, 1.5s or 2m")
    return float(match[1]) * _DURATION_MS[match[2]]


def parse_rate_per_s(text: str) -> float:
    """Arrivals per second in `40/s`, `90/m`. Raises ValueError."""
    match = _RATE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"`{text}` is not a rate; write a number per unit of time, such as 40/s or 90/m")
    return float(match[1]) * _RATE_PER_S[match[2]]


def parse_share(text: str) -> float:
    """The fraction in `0.5%` (0.005). Raises ValueError outside 0 to 100 %."""
    match = _SHARE.fullmatch(text.strip())
    if not match or float(match[1]) > 100:
        raise ValueError(f"`{text}` is not a share; write a percentage from 0% to 100%, such as 0.5%")
    return float(match[1]) / 100


def parse_bytes(text: str) -> int:
    """Bytes in `64kB` or `1MiB` (`kB` is 1000, `KiB` 1024). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match or match[3]:
        raise ValueError(f"`{text}` is not a size; write bytes with a unit, such as 64kB or 1MiB")
    return round(min(float(match[1]) * _BYTES[match[2]], _BYTES_MOST))


def parse_bytes_per_s(text: str) -> int:
    """Bytes per second in `64kB/s`; the `/s` may be left out. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"`{text}` is not a bandwidth; write bytes per second, such as 64kB/s")
    return round(min(float(match[1]) * _BYTES[match[2]], _BYTES_MOST))


def format_duration(ms: float) -> str:
    """A duration for people, three significant digits: `873 ms`, `2.52 s`, `30.0 s`, `2m 05s`."""
    if math.isinf(ms):
        return "∞"
    if ms < 0:
        return f"-{format_duration(-ms)}"
    if ms < 999.5:
        digits = 0 if ms >= 100 or ms == round(ms) else 1 if ms >= 10 else 2
        return f"{ms:.{digits}f} ms"
    seconds = ms / 1000
    if seconds < 119.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s"


def format_exact_duration(ms: float) -> str:
    """A round time without rounded zeros: `200 ms`, `2 s`, `1.5 s`."""
    return f"{ms / 1000:.6g} s" if ms >= 1000 else f"{ms:.6g} ms"


def duration_literal(ms: float) -> str:
    """A duration in the syntax of scenarios, exact and without a space: `60s`, `250ms`, `1.5s`, `2m`."""
    if ms >= 120_000 and ms % 60_000 == 0:
        return f"{ms / 60_000:g}m"
    return f"{ms / 1000:g}s" if ms >= 1000 else f"{ms:g}ms"


def format_share(share: float) -> str:
    """A fraction as a percentage for people: `0.21 %`, `20.6 %`, `100 %`."""
    percent = share * 100
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    digits = 1 if percent >= 10 else 2 if percent >= 0.1 else 3
    text = f"{percent:.{digits}f}"
    # 99.96 % must not be shown as "100.0 %", which would be a different finding
    return f"{'>99.9' if float(text) >= 100 else text} %"


def format_count(n: int) -> str:
    """`12,034`."""
    return f"{n:,}"


def format_quantity(count: float) -> str:
    """`12,034`, or `46.5` for a count that was multiplied by a factor."""
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"


def format_bytes(size: float) -> str:
    """A size for people, three significant digits: `640 B`, `64.0 kB`, `271 MB`, `1.25 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    digits = 0 if unit == "B" or size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{size:,.{digits}f} {unit}"


def format_things(n: int, noun: str) -> str:
    """`1 second`, `2 seconds`, `1,200 runs`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# ---------------------------------------------------------------- stretches of time


class Span(NamedTuple):
    """From `begin_ns` up to, but not including, `end_ns`; absolute monotonic ns. Empty if they are equal."""

    begin_ns: int
    end_ns: int

    def has(self, t_ns: int) -> bool:
        return self.begin_ns <= t_ns < self.end_ns

    def overlap_ns(self, other: Span) -> int:
        """How much of `other` lies in this one; 0 if nothing does."""
        return max(0, min(self.end_ns, other.end_ns) - max(self.begin_ns, other.begin_ns))


def join(spans: list[Span]) -> list[Span]:
    """The same time in order and without overlaps."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.begin_ns <= joined[-1].end_ns:
            joined[-1] = Span(joined[-1].begin_ns, max(span.end_ns, joined[-1].end_ns))
        else:
            joined.append(span)
    return joined
