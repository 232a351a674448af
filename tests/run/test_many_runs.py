"""Three runs in one call, on a Toxiproxy of others: nothing grows from one to the next, and nothing is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.many_runs import Moment, grown, watch


@pytest.mark.stack
@pytest.mark.usefixtures("toxiproxy_binary")
@pytest.mark.nightly
def test_nothing_grows_from_run_to_run(tmp_path: Path) -> None:
    moments, left = watch(tmp_path, 3)
    assert len(moments) == 3
    assert grown(moments) == []
    assert left == []
    assert moments[1].tailgate_files < 64


def test_growth_is_seen() -> None:
    steady = Moment(
        tailgate_files=11,
        tailgate_threads=5,
        tailgate_mb=120,
        toxiproxy_files=100,
        toxiproxy_proxies=3,
        toxiproxy_mb=50,
        folder_files=6,
    )
    assert grown([steady, steady, steady]) == []
    for name in ("tailgate_files", "tailgate_threads", "toxiproxy_proxies", "folder_files"):
        assert grown([steady, steady, replace(steady, **{name: getattr(steady, name) + 1})]), name
    assert grown([steady, steady, replace(steady, tailgate_mb=200)]) == ["tailgate_mb: 120 → 200"]
