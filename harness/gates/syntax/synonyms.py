"""Names that other tools have for the metrics of gates, and the gates that a text with such a name means.

It only proposes texts, with the user's own numbers; `harness.gates.parse` shows those that are valid gates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from harness.model.meant_quantities import durations_meant, leading_number, rates_meant, shares_meant

Meaning = Literal[
    "throughput", "latency", "first byte", "mean", "median", "max", "errors", "gateway timeouts", "timeouts", "success"
]
_WORDS: Final[dict[Meaning, frozenset[str]]] = {
    "success": frozenset(("success", "successes", "successful", "successrate", "availability", "uptime", "checks",
                          "ok")),
    "timeouts": frozenset(("timeout", "timeouts", "timed")),
    "errors": frozenset(("error", "errors", "errorrate", "failure", "failures", "failurerate", "failed", "fail",
                         "fails", "failrate", "exception", "exceptions")),
    "mean": frozenset(("avg", "average", "mean")),
    "median": frozenset(("median", "med")),
    "max": frozenset(("max", "maximum", "worst", "slowest")),
    "first byte": frozenset(("ttfb", "waiting")),
    "latency": frozenset(("latency", "latencies", "duration", "durations", "time", "times", "responsetime",
                          "percentile")),
    "throughput": frozenset(("rps", "qps", "tps", "hps", "rpm", "rate", "req", "reqs", "request", "requests",
                             "iterations", "hits", "throughput")),
}  # fmt: skip
"""By meaning, the first that applies: `http req failed` is about errors, though `req` alone is a throughput."""
_WITH_ANY: Final = frozenset((
    "http", "https", "ratio", "percent", "percentage", "share", "count", "number", "total", "of", "the", "code",
    "codes", "status", "statuses", "statuscode", "response", "responses", "per", "second", "s", "out", "is", "gate",
))  # fmt: skip
"""Words that change no meaning."""
_METRIC: Final[dict[Meaning, str]] = {
    "throughput": "throughput",
    "latency": "p99",
    "first byte": "p99(ttfb)",
    "mean": "mean",
    "median": "p50",
    "max": "max",
    "errors": "errors",
    "gateway timeouts": "gateway_timeout",
    "timeouts": "timeouts",
    "success": "errors",
}
_LATENCIES: Final = ("latency", "first byte", "mean", "median", "max")
_OPERATOR: Final = re.compile(r"[<>]=?|[=!]=?")
_STATUS: Final = re.compile(r"(?<![\d.])([1-5](?:\d\d|xx))s?(?![a-z\d])")
_PERCENTILE: Final = re.compile(
    r"(?<![a-z])p[_ ]?\(?(\d{1,2}(?:\.\d+)?)\)?(?![\d.])|(?<![\d.])(\d{1,2}(?:\.\d+)?)(?:st|nd|rd|th)(?![a-z])"
)
_GATEWAY_TIMEOUT: Final = "504"
_LIMIT_WORDS: Final = 4
"""The most words that a limit may consist of, as in `20 requests per second`."""
_CHARACTERS_MOST: Final = 300


@dataclass(frozen=True, slots=True)
class MeantGate:
    """The gates that a text means which is no gate, the likelier first; none if that is unknown."""

    texts: tuple[str, ...] = ()


def meant_gate(text: str) -> MeantGate:
    """What a gate's text with another tool's words means. Its number, and what follows the number, are kept."""
    if len(text) > _CHARACTERS_MOST:
        return MeantGate()
    # the subject may have a comparison of its own, as in `status >= 500 < 1%`
    limits = [each for each in _OPERATOR.finditer(text) if leading_number(text[each.end() :].lstrip())[0]]
    subject, limit = (text[: limits[-1].start()], text[limits[-1].end() :].split()) if limits else (text, [])
    meaning, percentile = _meaning(subject.lower())
    if meaning is None:
        return MeantGate()
    metric = _METRIC[meaning]
    if percentile:
        metric = f"p{percentile}{'(ttfb)' if meaning == 'first byte' else ''}"
    bounds, rest = _limit(meaning, subject.lower(), limit)
    texts = (" ".join([metric, bound, *rest]) for bound in bounds)
    return MeantGate(tuple(dict.fromkeys(texts)))


def _meaning(subject: str) -> tuple[Meaning | None, str]:
    """What the words before the comparison mean, and the percentile among them; None if a word is unknown."""
    percentiles = [match[1] or match[2] for match in _PERCENTILE.finditer(subject)]
    rest = _PERCENTILE.sub(" ", subject)
    statuses = [match[1] for match in _STATUS.finditer(rest)]
    words = set(re.findall(r"[a-z]+", _STATUS.sub(" ", rest)))
    known = _WITH_ANY.union(*_WORDS.values())
    if not words <= known or re.search(r"\d", _STATUS.sub(" ", rest)):
        return None, ""
    if statuses:
        return _of_statuses(statuses, rest), ""
    meaning = next((each for each, own in _WORDS.items() if words & own), None)
    if percentiles and meaning in (None, "throughput", *_LATENCIES):
        return ("first byte" if meaning == "first byte" else "latency"), percentiles[0]
    if meaning is None and words & {"status", "statuses", "statuscode", "code", "codes"}:
        return "errors", ""
    return ("latency", "") if meaning is None and words & {"response", "responses"} else (meaning, "")


def _of_statuses(statuses: list[str], subject: str) -> Meaning:
    success = all(status[0] in "123" for status in statuses)
    if "!=" in subject or ("<" in subject and not success):
        success = not success
    if success:
        return "success"
    return "gateway timeouts" if set(statuses) == {_GATEWAY_TIMEOUT} and "!=" not in subject else "errors"


def _limit(meaning: Meaning, subject: str, words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The comparisons that are meant, such as `< 2%`, and the words after them. `words`: those after the operator."""
    for count in range(min(_LIMIT_WORDS, len(words)), 0, -1):
        bounds = _bounds(meaning, subject, " ".join(words[:count]))
        if bounds:
            return bounds, words[count:]
    return (_example(meaning),), words[1:]


def _bounds(meaning: Meaning, subject: str, text: str) -> tuple[str, ...]:
    number, unit = leading_number(text)
    if meaning == "throughput":
        per = "/m" if "rpm" in subject else "/s"
        rates = rates_meant(text) or ((f"{number}{per}",) if number and not unit else ())
        return tuple(f"> {rate}" for rate in rates)
    if meaning in _LATENCIES:
        durations = durations_meant(text) or ((f"{number}ms", f"{number}s") if number and not unit else ())
        return tuple(f"< {duration}" for duration in durations)
    if meaning != "success" and re.fullmatch(r"0(?:\.0+)?%?", text):
        return ("= 0",)
    if meaning == "success" and text in ("100%", "100", "1.0", "1"):
        return ("= 0",)
    shares = [float(share.removesuffix("%")) for share in shares_meant(text)]
    if meaning == "success":
        shares = [round(100 - share, 9) for share in shares[:1]]  # 0.98 is 98%, since no service is measured by 0.98%
    if not shares:
        return ()
    return tuple(f"< {share:g}%" for share in shares if 0 < share < 100) or (_example(meaning),)


def _example(meaning: Meaning) -> str:
    """A comparison for a text that has no limit, or one that no run could show."""
    if meaning == "throughput":
        return "> 38/s"
    return "< 2s" if meaning in _LATENCIES else "< 1%"
