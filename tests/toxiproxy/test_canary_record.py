"""By which canaries a fault is proven, and what canary.ndjson survives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.canaries import Canary, Connections, Freed, baseline_ms, is_free, proves, read_canaries, shows
from harness.rundir.planned.fault import Proof
from harness.units import NS_PER_MS
from tests.toxiproxy.world import FAILED, HELD

BASE_MS = 10.0


def canary(elapsed_ms: float, outcome: Any = "ok", *, sent_ms: float = 0.0) -> Canary:
    sent_ns = round(sent_ms * NS_PER_MS)
    done_ns = sent_ns + round(elapsed_ms * NS_PER_MS)
    return Canary(upstream="azure", sent_ns=sent_ns, done_ns=done_ns, outcome=outcome, bytes=0)


def canaries(*elapsed_ms: float) -> Sequence[Canary]:
    return [canary(ms) for ms in elapsed_ms]


@pytest.mark.parametrize(
    ("seen", "proof", "expected"),
    [
        (canary(2_010), HELD, True),
        (canary(1_811), HELD, True),
        (canary(1_809), HELD, False),
        (canary(2_260, "held"), HELD, True),
        (canary(1_000, "held"), HELD, False),
        (canary(3_000, "failed"), HELD, True),
        (canary(5, "failed"), HELD, False),
        (canary(5, "failed"), FAILED, True),
        (canary(5), FAILED, False),
        (canary(9_999, "held"), FAILED, False),
    ],
)
def test_one_canary(seen: Canary, proof: Proof, expected: bool) -> None:
    assert shows(seen, proof, BASE_MS) is expected


def test_a_hit_on_every_connection_takes_two_and_at_least_half_of_them() -> None:
    def proven(*elapsed_ms: float) -> bool:
        return proves(canaries(*elapsed_ms), HELD, share=1.0, base_ms=BASE_MS)

    assert not proven()
    assert not proven(2_100)
    assert proven(2_100, 2_100)
    assert proven(2_100, 10, 2_100, 10)
    assert not proven(2_100, 10, 2_100, 10, 10)


def test_a_share_is_proven_by_any_canary() -> None:
    assert proves(canaries(10, 10, 2_100, 10, 10), HELD, share=0.1, base_ms=BASE_MS)
    assert not proves(canaries(10, 10, 10), HELD, share=0.1, base_ms=BASE_MS)


def test_a_failure_is_no_accident_so_one_will_do() -> None:
    seen = [canary(10), canary(10), canary(1, "failed")]
    assert proves(seen, FAILED, share=1.0, base_ms=BASE_MS)
    assert not proves(seen[:2], FAILED, share=1.0, base_ms=BASE_MS)


def test_one_that_failed_early_says_nothing_about_being_held() -> None:
    seen = [canary(2_100), canary(2_100), *(canary(1, "failed") for _ in range(9))]
    assert proves(seen, HELD, share=1.0, base_ms=BASE_MS)


@pytest.mark.parametrize("proof", [HELD, FAILED])
def test_without_a_canary_that_was_well_before_nothing_is_proven(proof: Proof) -> None:
    seen = [canary(9_999, "failed"), canary(9_999, "failed")]
    assert not proves(seen, proof, share=1.0, base_ms=None)


def test_the_baseline_is_the_lower_median_of_whole_answers() -> None:
    assert baseline_ms(canaries(5, 900, 10, 20)) == 10
    assert baseline_ms([canary(1, "failed"), canary(1, "held")]) is None


def test_free_is_a_whole_answer_that_shows_nothing_of_the_fault() -> None:
    assert is_free(canary(12), HELD, BASE_MS)
    assert not is_free(canary(2_100), HELD, BASE_MS)
    assert not is_free(canary(1, "failed"), HELD, BASE_MS)
    assert is_free(canary(2_100), FAILED, BASE_MS)
    assert not is_free(canary(1, "failed"), FAILED, BASE_MS)


def test_lines_come_back_as_they_were_and_a_cut_last_one_is_passed_over(tmp_path: Path) -> None:
    lines = [
        canary(1.5),
        Freed(fault="f", window=0, upstream="azure", t_ns=3, elapsed_ms=1.5),
        Connections(upstream="azure", t_ns=3, count=None, detail="not permitted"),
    ]
    path = tmp_path / "canary.ndjson"
    text = b"".join(line.model_dump_json().encode() + b"\n" for line in lines)
    path.write_bytes(text + b'{"kind": "canary", "upst')
    assert list(read_canaries(path)) == lines
    path.write_bytes(b"rubbish\n" + text)
    with pytest.raises(ValueError, match=r"canary\.ndjson:1: not a canary line"):
        list(read_canaries(path))
    assert list(read_canaries(tmp_path / "none")) == []
