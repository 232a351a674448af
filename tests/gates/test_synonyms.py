"""A gate in another tool's words: what is proposed is a gate, with the user's own number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from harness.gates import GateSyntaxError
from harness.gates.answered.largest import LargestGate
from harness.gates.answered.mean import MeanGate
from harness.gates.latency import LatencyGate
from harness.gates.parse import gate_text, parse_gate
from harness.gates.shares.none_of import NoneGate
from harness.gates.shares.share import ShareGate
from harness.gates.throughput import ThroughputGate
from harness.model.meant_quantities import durations_meant
from harness.units import parse_duration_ms

LATENCIES = {
    "latency": "p99", "response time": "p99", "p99 latency": "p99", "p95 response time": "p95",
    "response_time p95": "p95",
    "p(90)": "p90", "95th percentile": "p95", "http_req_duration": "p99", "avg": "mean", "mean latency": "mean",
    "avg response time": "mean", "median": "p50", "maximum": "max", "max latency": "max", "TTFB": "p99(ttfb)",
    "p99": "p99",
}  # fmt: skip
THROUGHPUTS = ("rps", "RPS", "qps", "http_reqs", "request rate", "requests per second", "requests", "throughput rate")
ERRORS = {
    "5xx": "errors", "http_500": "errors", "http 500": "errors", "HTTP 5xx": "errors", "status_500": "errors",
    "status500": "errors", "status >= 500": "errors", "status != 200": "errors", "500 errors": "errors",
    "500s": "errors", "5xx rate": "errors", "4xx": "errors", "fail_ratio": "errors", "error rate": "errors",
    "errorrate": "errors", "http_req_failed": "errors", "statuscode 503": "errors", "500 502 504": "errors",
    "504": "gateway_timeout", "status 504": "gateway_timeout", "timeout": "timeouts", "timeout rate": "timeouts",
    "errors rate": "errors",
}  # fmt: skip
SUCCESSES = ("status 200", "2xx", "success rate", "availability", "status < 500", "http 2xx rate", "checks")
RESTS = st.sampled_from(["", " during azure-latency", " after azure-latency", " during whole"])
SPACES = st.sampled_from(["", " "])


def proposed(text: str) -> list[str]:
    """The gates that the refusal of `text` writes out whole."""
    with pytest.raises(GateSyntaxError) as caught:
        parse_gate(text)
    found = re.findall(r"`([^`]+)`", caught.value.fix) if caught.value.fix.startswith("write `") else []
    assert found, (text, caught.value.fix)
    return found


def phase(rest: str) -> str:
    return rest.strip().removeprefix("during ") or "whole"


numbers = st.integers(1, 9_999).map(str) | st.tuples(st.integers(0, 99), st.integers(1, 9)).map(
    lambda parts: f"{parts[0]}.{parts[1]}"
)


@settings(max_examples=150, deadline=None)
@given(
    subject=st.sampled_from(sorted(LATENCIES)),
    op=st.sampled_from(["<", "<=", ">", "=="]),
    number=numbers,
    unit=st.sampled_from([("ms", 1), ("s", 1000), ("msec", 1), (" milliseconds", 1), (" sec", 1000), (" min", 60_000)]),
    rest=RESTS,
)
def test_a_latency_keeps_its_number_percentile_and_phase(
    subject: str, op: str, number: str, unit: tuple[str, float], rest: str
) -> None:
    if float(number) * unit[1] > 86_400_000 or (subject == "p99" and op != "=="):
        return  # no run lasts that long; and that is a gate, or has a refusal of its own
    for text in proposed(f"{subject} {op} {number}{unit[0]}{rest}"):
        gate = parse_gate(text)
        assert isinstance(gate, LatencyGate | MeanGate | LargestGate)
        assert (gate.metric, gate.phase) == (LATENCIES[subject], phase(rest))
        assert gate.limit.ms == pytest.approx(float(number) * unit[1])


@settings(max_examples=60, deadline=None)
@given(subject=st.sampled_from(sorted(set(LATENCIES) - {"p99"})), number=numbers)
def test_a_latency_without_a_unit_may_be_either(subject: str, number: str) -> None:
    ms, seconds = [parse_gate(text) for text in proposed(f"{subject} < {number}")]
    assert isinstance(ms, LatencyGate | MeanGate | LargestGate)
    assert isinstance(seconds, LatencyGate | MeanGate | LargestGate)
    assert ms.limit.ms == pytest.approx(float(number))
    assert seconds.limit.ms == pytest.approx(1000 * float(number))


@settings(max_examples=150, deadline=None)
@given(
    beginning=st.tuples(st.sampled_from(THROUGHPUTS), st.sampled_from([">", ">=", "<", "="])).map(" ".join),
    number=st.integers(1, 5_000),
    spelled=st.sampled_from(["{number}", "{number:,}", "{thousands}k"]),
    per=st.sampled_from(
        [("", 1), ("/s", 1), ("/sec", 1), ("rps", 1), (" req/s", 1), (" req/sec", 1), (" per second", 1), ("/min", 60)]
    ),
    rest=RESTS,
)
def test_a_throughput_keeps_its_number_and_unit(
    beginning: str, number: int, spelled: str, per: tuple[str, int], rest: str
) -> None:
    written = spelled.format(number=number, thousands=number / 1000)
    if written.endswith("k") and per[0][:1].isalpha():
        return  # `1krps` is nothing that people write
    (text,) = proposed(f"{beginning} {written}{per[0]}{rest}")
    gate = parse_gate(text)
    assert isinstance(gate, ThroughputGate)
    assert gate.limit_per_s == pytest.approx(number / per[1])
    assert gate.phase == phase(rest)


@settings(max_examples=150, deadline=None)
@given(
    subject=st.sampled_from(sorted(ERRORS)),
    op=st.sampled_from(["<", "<=", "==", "="]),
    percent=st.integers(1, 99) | st.sampled_from([0.1, 0.5, 2.5]),
    unit=st.sampled_from(["%", " %", " percent"]),
    rest=RESTS,
)
def test_a_share_of_failures_keeps_its_number(subject: str, op: str, percent: float, unit: str, rest: str) -> None:
    (text,) = proposed(f"{subject} {op} {percent}{unit}{rest}")
    gate = parse_gate(text)
    assert isinstance(gate, ShareGate)
    assert (gate.metric, gate.phase) == (ERRORS[subject], phase(rest))
    assert gate.limit == pytest.approx(percent / 100)


@settings(max_examples=60, deadline=None)
@given(subject=st.sampled_from(sorted(ERRORS)), thousandths=st.integers(1, 999))
def test_a_share_without_a_unit_may_be_either(subject: str, thousandths: int) -> None:
    gates = [parse_gate(text) for text in proposed(f"{subject} < {thousandths / 1000}")]
    limits = [gate.limit for gate in gates if isinstance(gate, ShareGate)]
    assert limits == [pytest.approx(thousandths / 1000), pytest.approx(thousandths / 100_000)]


@settings(max_examples=60, deadline=None)
@given(subject=st.sampled_from(SUCCESSES), percent=st.integers(1, 99) | st.sampled_from([99.9, 99.95]), rest=RESTS)
def test_a_share_of_successes_bounds_the_errors_that_it_leaves(subject: str, percent: float, rest: str) -> None:
    (text,) = proposed(f"{subject} > {percent}%{rest}")
    gate = parse_gate(text)
    assert isinstance(gate, ShareGate)
    assert gate.metric == "errors"
    assert gate.limit == pytest.approx(1 - percent / 100)


@pytest.mark.parametrize("subject", sorted({*ERRORS, *SUCCESSES} - {"status >= 500", "status != 200", "status < 500"}))
@pytest.mark.parametrize("written", [": 0", " == 0", " = 0%", " < 100%", ""])
def test_none_at_all_is_said_as_such_and_without_a_number_an_example_stands(subject: str, written: str) -> None:
    if written.startswith(":"):
        with pytest.raises(PydanticCustomError) as refused:
            gate_text({subject: 0})
        assert refused.value.context
        (text,) = re.findall(r"`([^`]+)`", refused.value.context["fix"])
    else:
        (text,) = proposed(f"{subject}{written}")
    gate = parse_gate(text)
    none = written == " < 100%" if subject in SUCCESSES else "0" in written and written != " < 100%"
    assert isinstance(gate, NoneGate if none else ShareGate)
    assert gate.text == (f"{gate.metric} = 0" if none else f"{gate.metric} < 1%")


@pytest.mark.parametrize(
    ("text", "fixes"),
    [
        ("p99 < 1s0ms", ["1s"]),
        ("p99 < 1m30s", ["90s"]),
        ("p99 < 1,5s", ["1.5s"]),
        ("p99 < 2 seconds during x", ["write `p99 < 2s during x`"]),
        ("p99 < 1 min 30 s", ["write `p99 < 90s`"]),
        ("p99 < 7foo", ["7s or 7ms"]),
        ("p99 during x < 3s", ["p99 < 3s during x"]),
        ("errors < 3 %", ["write `errors < 3%`"]),
        ("errors of gcp < 3%", ["errors < 3%"]),
        ("errors < 5s", ["5%"]),
        ("rss < 250mb", ["250MB"]),
        ("rss < 250 MB during x", ["write `rss < 250MB during x`"]),
        ("rss < 250M", ["250MB"]),
        ("rss < 250 mebi", ["250MB"]),
        ("threads < 1,000", ["1000"]),
        ("calls < 1,000", ["1000"]),
        ("throughput > 20 req/s", ["write `throughput > 20/s`"]),
        ("throughput > 20foo", ["20/s or 20/m"]),
        ("recovery < 7 seconds after x", ["write `recovery < 7s after x`"]),
        ("named azure within 7s during baseline", ["named azure within 7s during FAULT"]),
    ],
)
def test_a_limit_in_another_spelling_keeps_its_number(text: str, fixes: list[str]) -> None:
    with pytest.raises(GateSyntaxError) as caught:
        parse_gate(text)
    assert [caught.value.fix] == fixes


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["h", "m", "s", "ms"])), min_size=2, max_size=4))
def test_a_duration_of_several_parts_is_their_sum(parts: list[tuple[int, str]]) -> None:
    (meant,) = durations_meant("".join(f"{number}{unit}" for number, unit in parts))
    total_ms = sum(parse_duration_ms(f"{number}{unit}") for number, unit in parts)
    assert parse_duration_ms(meant) == pytest.approx(total_ms, rel=1e-12)


@given(st.text(max_size=80))
def test_what_is_nothing_of_the_kind_is_left_alone(text: str) -> None:
    for quantity in durations_meant(text):
        assert parse_duration_ms(quantity) >= 0


@pytest.mark.parametrize("text", ["apdex > 0.9", "stddev < 1s", "cache hits > 3%", "latency of gcp < 1s", "x" * 9999])
def test_words_that_are_unknown_are_not_guessed_at(text: str) -> None:
    with pytest.raises(GateSyntaxError) as caught:
        parse_gate(text)
    assert not caught.value.fix.startswith("write `")
