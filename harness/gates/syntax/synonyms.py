"""Names that other tools have for the metrics of gates, and the gate that a text with such a name means.

It only proposes a text, with the user's own numbers; `harness.gates.parse` shows the proposal if it is a valid gate.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Meaning = Literal["throughput", "latency", "mean", "median", "max", "errors", "success"]
_MEANINGS: Final[dict[Meaning, tuple[str, ...]]] = {
    "throughput": ("rps", "qps", "tps", "hps", "rate", "req/s", "requests/s", "requests", "iterations", "hits"),
    "latency": ("latency", "response_time", "response-time", "response", "duration", "ttfb", "time",
                "http_req_duration"),
    "mean": ("avg", "average", "mean"),
    "median": ("median", "med"),
    "max": ("max", "maximum", "worst"),
    "errors": ("5xx", "4xx", "500", "502", "503", "504", "status", "error_rate", "error-rate", "error rate", "failures",
               "failure", "failed", "fails", "failure_rate", "http_req_failed", "http_errors", "exceptions"),
    "success": ("success", "successes", "success_rate", "success-rate", "successful", "availability", "uptime",
                "checks", "ok"),
}  # fmt: skip
_METRIC: Final[dict[Meaning, str]] = {
    "throughput": "throughput",
    "latency": "p99",
    "mean": "p50",
    "median": "p50",
    "max": "p99.9",
    "errors": "errors",
    "success": "errors",
}
_EXAMPLES: Final[dict[Meaning, str]] = {"throughput": "> 38/s", "errors": "< 1%", "success": "< 1%"}
_REASONS: Final[dict[Meaning, str]] = {
    "mean": "no gate bounds a mean: a few very slow requests hide in it",
    "max": "no gate bounds the slowest request of all: one request decides nothing",
}
_COMPARED: Final = re.compile(
    r"[^<>=]*?(?:[<>]=?|==?)\s*(\d+(?:\.\d+)?|\.\d+)"
    r"(?:\s*(%|/?(?:ns|us|µs|ms|s|m|h)|rps|qps|tps|(?:req|requests)/s)(?![A-Za-z]))?(.*)",
    re.DOTALL,
)
_TIMES: Final = ("ns", "us", "µs", "ms", "s", "m", "h")


def meant_gate(word: str, text: str) -> tuple[str, str]:
    """What is wrong with a gate that begins with `word`, and the text of the gate that it means; both empty if unknown.

    `text` is the whole gate. Its number, and what follows the number, are kept.
    """
    two_words = " ".join(text.lower().split()[:2])
    meaning = next((each for each, words in _MEANINGS.items() if word.lower() in words or two_words in words), None)
    if meaning is None:
        return "", ""
    reason = _REASONS.get(meaning, f"`{word}` is not something a gate can measure")
    return reason, f"{_METRIC[meaning]} {_limit(meaning, text)}"


def _limit(meaning: Meaning, text: str) -> str:
    example = _EXAMPLES.get(meaning, "< 2s")
    match = _COMPARED.fullmatch(text)
    if match is None:
        return example
    number, unit, rest = match[1], match[2] or "", match[3].rstrip()
    if meaning == "throughput":
        return f"> {number}{'/m' if unit.endswith('/m') else '/s'}{rest}"
    if meaning in ("errors", "success"):
        percent = float(number) if unit == "%" or float(number) > 1 else 100 * float(number)
        if meaning == "success":
            percent = 100 - percent
        return f"< {round(percent, 9):g}%{rest}" if 0 < percent < 100 else f"{example}{rest}"
    return f"< {number}{unit if unit in _TIMES else 'ms'}{rest}"
