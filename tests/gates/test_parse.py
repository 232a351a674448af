from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gates import GATES, GateKind, GateSyntaxError
from harness.gates.calls import CallsGate
from harness.gates.latency import LatencyGate
from harness.gates.latency_limit import Limit
from harness.gates.parse import parse_gate
from harness.gates.readings import per_request, resource_gate
from harness.gates.readings.per_request import PerRequestGate
from harness.gates.readings.resource_gate import ResourceGate
from harness.gates.recovery import RecoveryGate
from harness.gates.shares.complete import CompleteGate
from harness.gates.shares.outcomes import BAD_OUTCOMES
from harness.gates.shares.share import ShareGate
from harness.gates.throughput import ThroughputGate


def test_a_latency_gate_with_everything() -> None:
    gate = parse_gate('p99.9(ok) of gcp for "GET /offers?x=1" < 1.5 x baseline during azure-slow')
    assert isinstance(gate, LatencyGate)
    assert (gate.quantile, gate.ok_only, gate.upstream) == (0.999, True, "gcp")
    assert gate.request == "GET /offers?x=1"
    assert gate.limit == Limit(factor=1.5, of="baseline")
    assert gate.phase == "azure-slow"
    assert gate.phases() == ("azure-slow", "baseline")
    assert gate.p0 == 0.001


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("p99 < 2s", Limit(ms=2000.0)),
        ("p99<250ms", Limit(ms=250.0)),
        ("p99 < gateway.timeout", Limit()),
        ("p99 < 2x baseline", Limit(factor=2.0, of="baseline")),
        ("p99 < 1.1 x main", Limit(factor=1.1, of="main")),
    ],
)
def test_limits_of_a_latency_gate(text: str, limit: Limit) -> None:
    gate = parse_gate(text)
    assert isinstance(gate, LatencyGate)
    assert gate.limit == limit
    assert gate.uses_gateway_timeout == (limit == Limit())
    assert gate.uses_main == (limit.of == "main")


def test_the_other_kinds() -> None:
    errors = parse_gate("errors < 1% during azure-slow")
    assert isinstance(errors, ShareGate)
    assert errors.p0 == 0.01
    complete = parse_gate("complete for by-gcp > 99% during whole")
    assert isinstance(complete, CompleteGate)
    assert (complete.p0, complete.op, complete.requests()) == (0.01, ">", ("by-gcp",))
    calls = parse_gate("calls to azure for by-gcp < 0.01")
    assert isinstance(calls, CallsGate)
    assert calls.is_share
    assert calls.upstreams() == ("azure",)
    throughput = parse_gate("throughput > 90/m after azure-slow")
    assert isinstance(throughput, ThroughputGate)
    assert (throughput.limit_per_s, throughput.phase) == (1.5, "after azure-slow")
    recovery = parse_gate("recovery < 15s after azure-slow")
    assert isinstance(recovery, RecoveryGate)
    assert recovery.load_needed_after_ms(40) == 15_000 + 5 * 2_500
    assert recovery.load_needed_after_ms(1_000) == 15_000 + 5 * 1_000


@pytest.mark.parametrize(
    ("text", "limit", "factor", "unit", "phases"),
    [
        ("rss < 300MB", 300e6, None, "bytes", ("whole",)),
        ("rss < 1.5GB during azure-slow", 1.5e9, None, "bytes", ("azure-slow",)),
        ("rss < 1GiB", 1024.0**3, None, "bytes", ("whole",)),
        ("rss < 1.5TB", 1.5e12, None, "bytes", ("whole",)),
        ("rss < 1TiB", 1024.0**4, None, "bytes", ("whole",)),
        ("rss < 99999GB", 99_999e9, None, "bytes", ("whole",)),
        ("threads < 2", 2.0, None, "count", ("whole",)),
        ("rss < 2x baseline", None, 2.0, "bytes", ("whole", "baseline")),
        ("threads < 100 during baseline", 100.0, None, "count", ("baseline",)),
        ("threads < 1.5 x baseline after azure-slow", None, 1.5, "count", ("after azure-slow", "baseline")),
        ("sockets < 1000 after azure-slow", 1000.0, None, "count", ("after azure-slow",)),
    ],
)
def test_gates_on_what_the_service_costs(
    text: str, limit: float | None, factor: float | None, unit: str, phases: tuple[str, ...]
) -> None:
    gate = parse_gate(text)
    assert isinstance(gate, ResourceGate)
    assert (gate.limit, gate.factor, gate.unit, gate.phases()) == (limit, factor, unit, phases)
    assert gate.metric == text.partition(" ")[0]
    assert gate.moments(0.95) == 0
    assert gate.load_needed_after_ms(40) == (
        0 if not text.endswith("after azure-slow") else 8_000 if gate.metric == "sockets" else 6_000
    )


def test_a_gate_without_a_phase_speaks_of_the_whole() -> None:
    assert parse_gate("errors < 1%").phase == "whole"


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("p99 < 2s", 299),
        ("p99.9 < 2s", 2_995),
        ("p50 < 2s", 5),
        ("p99 < 2 x baseline", 368),
        ("errors < 0.5%", 598),
        ("complete > 99%", 299),
        ("complete of azure > 99%", 299),
        ("complete 6/8 > 99.9%", 2_995),
        ("errors = 0", 0),
        ("mean < 1s", 299),
        ("max < 1s", 0),
        ("p99(ttfb) < 1s", 299),
        ("calls to azure < 0.01", 299),
        ("calls < 8", 299),
        ("throughput > 1/s", 299),
        ("recovery < 1s after x", 0),
    ],
)
def test_how_many_independent_moments_a_pass_needs(text: str, moments: int) -> None:
    assert parse_gate(text).moments(0.95) == moments


@pytest.mark.parametrize(
    ("text", "offset", "message", "fix"),
    [
        ("", 0, "empty", "p99 < 2s"),
        ("p99", 3, "ends where `<`", "p99 < 2s"),
        ("p99 <= 2s", 4, "strict bound", "p99 < 2s"),
        ("p99 > 2s", 4, "`<` expected", "p99 < 2s"),
        ("p99 < 2", 6, "no unit", "2ms or 2s"),
        ("p99 < 2sec", 6, "not a duration", "2s"),
        ("p99 < 0s", 6, "above zero", ""),
        ("p999 < 2s", 0, "not a percentile", "p99.9"),
        ("p0 < 2s", 0, "fastest of all requests", "p50"),
        ("p100 < 2s", 0, "not a percentile", "p99"),
        ("p99 < 2 x yesterday", 10, "a limit cannot be a multiple of `yesterday`", "baseline"),
        ("p99 < 1.2x", 10, "ends where `baseline` or `main`", "1.2x baseline or 1.2x main"),
        ("p99 < 1.2 x yesterday", 12, "a limit cannot be a multiple of `yesterday`", "1.2x baseline or 1.2x main"),
        ("p99 < 1.5xbaseline", 6, "two words in one", "write `1.5x baseline`, with a space"),
        ("p99 < 2xmain during azure", 6, "two words in one", "write `2x main`, with a space"),
        ("p99 < 2s duering azure-latency", 9, "one word too many", "did you mean `during`?"),
        ("p99 < 2s in azure-latency", 9, "one word too many", "did you mean `during`?"),
        ("errors < 1% aftr azure", 12, "one word too many", "did you mean `after`?"),
        ("p99 of GCP < 2s", 7, "not an upstream's name", "p99 of UPSTREAM"),
        ('p99 for "GET / < 2s', 8, "not closed", 'for "GET /offers"'),
        ("p99 for GET < 2s", 8, "quote it", 'for "GET /offers"'),
        ("p99 < 2s during", 15, "ends where", "during FAULT"),
        ("p99 < 2s during azure now", 22, "one word too many", "may end a gate"),
        ("p95 < 1s for basket", 9, "one word too many", "write `p95 for basket < 1s`"),
        ('p95 < 1s during x for "GET /a"', 18, "one word too many", 'write `p95 for "GET /a" < 1s during x`'),
        (
            "cpu < 20ms for basket",
            11,
            "one word too many",
            "`cpu` is of the whole service and has no `for`: write `cpu <",
        ),
        ("p99 for /quote < 2s", 8, "quote it", 'for "/quote"'),
        ("error < 1%", 0, "not something a gate can measure", "write `errors < 1%`"),
        ("errors < 1", 9, "not a share", "1%"),
        ("errors < 0%", 9, "no share is below zero", "write `errors = 0`"),
        ("errors <= 0 during x", 10, "no share is below zero", "write `errors = 0 during x`"),
        ("errors == 0 during x", 7, "write `=` for `==`", "write `errors = 0 during x`"),
        ("errors=0%", 6, "only `= 0`", "write `errors= 0`"),
        ("errors for a = 3% during x", 13, "only `= 0`", "write `errors for a < 3% during x`"),
        ("errors =", 8, "ends where `0`", "errors = 0"),
        ("errors < main", 9, "by a margin", "write `errors < main + 0.5%`"),
        ("errors < 1.1x main during x", 9, "by a margin", "write `errors < main + 0.5% during x`"),
        ("errors < main +", 9, "by a margin", "errors < main + 0.5%"),
        ("errors < main + 5", 16, "not a share", "5%"),
        ("throughput > 0.8x baseline", 18, "only with main", "throughput > 0.8x main"),
        ("throughput > 1.2x main", 13, "above 0 and below 1", "0.8x main"),
        ("cpu < 5", 6, "has no unit", "5ms or 5s"),
        ("cpu < 80%", 6, "no share of a core", "cpu < 5ms"),
        ("cpu < 1x baseline", 6, "above 1", "1.2x baseline"),
        ("cpu < 2x main", 9, "only with the baseline", "cpu < 2x baseline"),
        ("log < 2", 6, "has no unit", "2B or 2kB"),
        ("log < 2s", 6, "not a size", "2B or 2kB"),
        ("log < 2x baseline during baseline", 6, "compared with itself", "log < 2kB"),
        ("metric", 6, "which metric", "metric pool_in_use{backend=azure} < 20"),
        ("metric < 5", 7, "which metric", "metric pool_in_use{backend=azure} < 20"),
        ('metric pool{a="b"} < 5', 7, "without quotes", "write `metric pool{a=b} < 5`"),
        ("metric pool{a} < 5", 7, "not a label", "write `metric pool{backend=azure} < 5`"),
        ("metric 9pool < 5", 7, "not a metric's name", "pool_in_use"),
        ("metric pool > 5", 12, "`<` expected", "metric pool < 5"),
        ("metric pool <= 5 during x", 12, "strict bound", "metric pool < 5 during x"),
        ("metric pool < 2x main", 17, "only with the baseline", "2x baseline"),
        ("metric pool < 0.5x baseline", 14, "above 1", "1.2x baseline"),
        ("metric pool < 5%", 14, "", ""),
        ("complete 0/8 > 99%", 9, "from 1 to 8, not 0", "complete 1/8"),
        ("complete 9/8 > 99%", 9, "from 1 to 8, not 9", "complete 8/8"),
        ("complete 3/65 > 99%", 9, "from 1 to 64 upstreams", "complete 6/8"),
        ("complete of AZURE > 99%", 12, "not an upstream's name", "complete of UPSTREAM > 99%"),
        ("complete > 100%", 11, "cannot be shown", "99%"),
        ("complete < 99%", 9, "`>` expected", "complete > 99%"),
        ("calls < 1.5x", 8, "calls are counted", "calls < 1.5"),
        ("calls to azure for a < 2x baseline", 23, "compared with no other phase or run", "calls to azure for a < 2"),
        ("calls < many", 8, "not a number", "0.01"),
        ("throughput > 40", 13, "not a rate", "40/s or 40/m"),
        ("recovery < 20s", 14, "needs the name of a fault", "recovery < 20s after FAULT"),
        ("named", 5, "ends where an upstream's name", "named UPSTREAM within 5s"),
        ("named Azure within 5s", 6, "not an upstream's name", "named UPSTREAM within 5s"),
        ("named azure", 11, "needs a time limit", "named azure within 5s during FAULT"),
        ("named within 5s", 6, "the upstream is missing", "named UPSTREAM within 5s"),
        ("named azure < 5s", 12, "write `within` for `<`", "named azure within 5s"),
        ("named azure within 5", 19, "not a duration", "5s or 5ms"),
        ("named azure within 0s", 19, "above zero", ""),
        ("named azure within 5s during baseline", 22, "while a fault is active", "during FAULT"),
        ("named azure within 5s after azure-slow", 22, "while a fault is active", "during FAULT"),
        ("cleared", 7, "ends where `within` should follow", "cleared within 30s"),
        ("cleared < 30s after azure-slow", 8, "needs a time limit", "cleared within 30s"),
        ("cleared azure within 20s after azure-slow", 8, "one word too many", "cleared within 20s after azure-slow"),
        ("cleared within 20s", 18, "needs the name of a fault", "cleared within 20s after FAULT"),
        ("cleared within 30s during azure-slow", 19, "needs the name of a fault", "after FAULT"),
        ("name azure within 5s", 0, "not something a gate can measure", "`named`"),
        ("rss < 300", 6, "has no unit", "300MB"),
        ("rss < 150% baseline", 6, "not a factor", "1.5x baseline"),
        ("rss < 1.2x", 10, "ends where `baseline`", "rss < 1.2x baseline"),
        ("rss < 1.2x main", 11, "rss cannot be compared with `main`", "rss < 1.2x baseline"),
        ("rss < 0.5x main", 11, "rss cannot be compared with `main`", "rss < 1.2x baseline"),
        ("sockets < 1.5xbaseline", 10, "two words in one", "write `1.5x baseline`, with a space"),
        ("rss < 1kB", 6, "no process fits", "rss < 300MB"),
        ("rss < 0MB", 6, "above zero", "300MB"),
        ("rss < 1%", 6, "not a size", "300MB"),
        ("rss <= 300MB", 4, "strict bound", "rss < 300MB"),
        ("threads < 0", 10, "one thread at least", "threads < 2"),
        ("threads < 1", 10, "one thread at least", "threads < 2"),
        ("threads <= 50", 8, "strict bound", "threads < 50"),
        ("threads <= 50 during azure", 8, "strict bound", "threads < 50 during azure"),
        ("threads <=", 8, "strict bound", "threads < 100"),
        ("threads < 1x baseline", 10, "above 1", "1.2x baseline"),
        ("threads < 0.5x baseline during whole", 10, "above 1", "1.2x baseline"),
        ("sockets < 0", 10, "fewer than 0 sockets", "sockets < 1"),
        ("sockets < baseline", 10, "needs its factor", "1.2x baseline"),
        ("sockets < 150% baseline", 10, "not a factor", "1.5x baseline"),
        ("sockets < 150% of baseline", 10, "not a factor", "1.5x baseline"),
        ("sockets < 50%", 10, "not a number", "50 or 1.5x"),
        ("memory < 300MB", 0, "not something a gate can measure", "rss (its memory), threads, sockets, cpu and log"),
        ("fds < 300", 0, "not something a gate can measure", "rss (its memory), threads, sockets, cpu and log"),
        ("threads < 1.5", 10, "not a whole number", "1.5x baseline"),
        ("threads < 50MB", 10, "has no unit", "50"),
        ("threads < 2 x main", 14, "threads cannot be compared with `main`", "threads < 2x baseline"),
        ("threads < 0x baseline", 10, "factor must be above 1", "1.2x baseline"),
        ("sockets < 2x baseline during baseline", 10, "compared with itself", "sockets < 100"),
        ("sockets > 5", 8, "`<` expected", "sockets < 5"),
        ("thread < 5", 0, "not something a gate can measure", "`threads`"),
        ("ok > 99%", 0, "not something a gate can measure", "errors < 1%"),
        # the field's other words, with the user's own numbers
        ("rps > 20", 0, "not something a gate can measure", "write `throughput > 20/s`"),
        ("rps > 20 during x", 0, "not something a gate can measure", "write `throughput > 20/s during x`"),
        ("qps >= 1200/m", 0, "not something a gate can measure", "write `throughput > 1200/m`"),
        ("avg < 250ms during x", 0, "not something a gate can measure", "write `mean < 250ms during x`"),
        ("median < 70ms", 0, "not something a gate can measure", "write `p50 < 70ms`"),
        ("slowest < 7s", 0, "not something a gate can measure", "write `max < 7s`"),
        ("latency < 1s", 0, "not something a gate can measure", "write `p99 < 1s`"),
        ("response_time < 900", 0, "not something a gate can measure", "write `p99 < 900ms`"),
        ("5xx < 3%", 0, "not something a gate can measure", "write `errors < 3%`"),
        ("5xx == 0", 0, "not something a gate can measure", "write `errors = 0`"),
        ("ttfb < 200", 0, "not something a gate can measure", "write `p99(ttfb) < 200ms` or `p99(ttfb) < 200s`"),
        ("p95 ttfb < 1s during x", 4, "`<` expected", "write `p95(ttfb) < 1s during x`"),
        ("p95(ttfb) of azure < 1s", 10, "first byte is that of the service", "write `p95 of azure < 1s`"),
        ("average < 0.3s", 0, "not something a gate can measure", "write `mean < 0.3s`"),
        ("mean latency < 250ms", 5, "`<` expected", "write `mean < 250ms`"),
        ("mean of AZURE < 1s", 8, "not an upstream's name", "mean of UPSTREAM < 1s"),
        ("mean < 250", 7, "no unit", "250ms or 250s"),
        ("max <= 7s", 4, "strict bound", "max < 7s"),
        ("success == 100%", 0, "not something a gate can measure", "write `errors = 0`"),
        ("status 500 < 0.5% during x", 0, "not something a gate can measure", "write `errors < 0.5% during x`"),
        ("error_rate < 0.02", 0, "not something a gate can measure", "write `errors < 2%`"),
        ("error rate < 2%", 0, "not something a gate can measure", "write `errors < 2%`"),
        ("success > 99.5%", 0, "not something a gate can measure", "write `errors < 0.5%`"),
        ("success rate > 0.98", 0, "not something a gate can measure", "write `errors < 2%`"),
        ("availability >= 99.9%", 0, "not something a gate can measure", "write `errors < 0.1%`"),
        ("latency", 0, "not something a gate can measure", "write `p99 < 2s`"),
        # other mistakes, with the user's own numbers
        ("p99 > 1s", 4, "`<` expected", "p99 < 1s"),
        ("p99 1s during x", 4, "`<` expected", "p99 < 1s during x"),
        ("p99 under 1s", 4, "`<` expected", "p99 < 1s"),
        ("p99 < 1sec", 6, "not a duration", "1s"),
        ("p95 of GCP < 3s", 7, "not an upstream's name", "p95 of UPSTREAM < 3s"),
        ("errors < 7", 9, "not a share", "7%"),
        ("recovery < 7 after x", 11, "not a duration", "7s or 7ms"),
        ("recovery < 7s after", 19, "ends where a fault's name", "recovery < 7s after FAULT"),
        ("named azure < 3s during x", 12, "write `within` for `<`", "named azure within 3s during x"),
        ("named Azure within 3s", 6, "not an upstream's name", "named UPSTREAM within 3s"),
        ("cleared < 7s after x", 8, "needs a time limit", "cleared within 7s after x"),
    ],
)
def test_a_gate_that_cannot_be_read_says_where_why_and_what_would_do(
    text: str, offset: int, message: str, fix: str
) -> None:
    with pytest.raises(GateSyntaxError) as caught:
        parse_gate(text)
    assert caught.value.offset == offset
    assert message in caught.value.message
    assert fix in caught.value.fix


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["p99", "<", "2s", "for", "x", "during", '"', "errors", "1%", ">"])).map(" ".join)
)
def test_any_text_is_a_gate_or_a_syntax_error_within_it(text: str) -> None:
    try:
        assert parse_gate(text).text == text
    except GateSyntaxError as exc:
        assert 0 <= exc.offset <= len(text)


def test_reading_gates_imports_nothing_heavy() -> None:
    code = (
        "import sys; from harness.gates.parse import parse_gate; import harness.rundir.phases; parse_gate('p99 < 2s');"
        "print([name for name in ('numpy', 'scipy', 'pandas', 'locust') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", GATES.kinds(), ids=lambda kind: kind.EXAMPLES[0].split()[0])
def test_what_a_kind_of_gate_offers_to_editors_is_a_gate(kind: GateKind) -> None:
    assert kind.EXAMPLES
    assert [parse_gate(example).text for example in kind.EXAMPLES] == list(kind.EXAMPLES)


def test_the_registry_has_every_word_that_a_kind_knows() -> None:
    assert [word for word, kind in GATES.items() if kind is ShareGate] == list(BAD_OUTCOMES)
    assert [word for word, kind in GATES.items() if kind is ResourceGate] == list(resource_gate.FIGURES)
    assert [word for word, kind in GATES.items() if kind is PerRequestGate] == list(per_request.FIGURES)
