"""Regular expressions of a file of routes: checked when they are read, compiled in one way wherever they are used."""

from __future__ import annotations

import re
from typing import Any, Final

PATTERN_MOST: Final = 1_000
"""Characters of one regular expression."""
EXPANDED_MOST: Final = 100_000
"""Elements of one regular expression when its repetitions are written out, as the compiler does: about 80 MB."""
_FREE_SPACING: Final = re.compile(r"\(\?[a-zA-Z0-9]{0,20}x")
_LEAST_COUNT: Final = re.compile(r"\{(\d+)(,\d*)?\}")


def compile_pattern(text: str) -> Any:
    """The compiled pattern (of the package `regex`). Whoever matches with it sets `timeout`, because a pattern may take
    exponential time.

    Raises ValueError on an invalid or too large one, with the reason as a sentence without a full stop.
    """
    import regex  # a late import: few scenarios have patterns

    if len(text) > PATTERN_MOST:
        raise ValueError(f"the regular expression has {len(text):,} characters, and at most {PATTERN_MOST:,} are read")
    if _FREE_SPACING.search(text):
        raise ValueError("the flag `x` of regular expressions is not supported")
    if _expanded(text) > EXPANDED_MOST:
        raise ValueError(f"the regular expression repeats more than {EXPANDED_MOST:,} elements")
    try:
        # version 1 reads nested sets and `&&` in sets, which stub mappings use
        return regex.compile(text, regex.VERSION1)
    except (regex.error, ValueError, OverflowError) as exc:
        raise ValueError(f"the regular expression is invalid: {exc}") from exc
    except RecursionError as exc:
        raise ValueError("the regular expression is nested too deeply") from exc


def _expanded(pattern: str) -> int:
    """How many elements the pattern has when each repetition is written out as often as it must occur."""
    groups, last, at = [0], 0, 0
    while at < len(pattern):
        char, start = pattern[at], at
        at += 1
        if pattern.startswith("(?#", start):
            end = pattern.find(")", start)
            at = end + 1 if end > 0 else len(pattern)
        elif char == "(":
            groups.append(0)
        elif char == ")" and len(groups) > 1:
            last = groups.pop() + 1
            groups[-1] += last
        elif char == "{" and (count := _LEAST_COUNT.match(pattern, start)):
            groups[-1] += last * (max(1, int(count[1])) - 1)
            at = count.end()
        else:
            at = _set_end(pattern, start) if char == "[" else start + 2 if char == "\\" else at
            last = 1
            groups[-1] += last
    return sum(groups)


def _set_end(pattern: str, start: int) -> int:
    """Just after the set (`[…]`) that begins at `start`; sets may hold sets."""
    depth, at = 0, start
    while at < len(pattern):
        char = pattern[at]
        at += 2 if char == "\\" else 1
        if char == "[":
            depth += 1
            at += pattern.startswith("^", at)
            at += pattern.startswith("]", at)  # a bracket that comes first is an element
        elif char == "]":
            depth -= 1
            if depth == 0:
                break
    return at
