"""Which lines of the gateway's access log show a request that found no connection to the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.search.witnesses.refusals import refused
from harness.stack.processes.gateway import ACCESS_LOG
from tests.rundir.recording import make_plan

NGINX = make_plan()
NO_GATEWAY = NGINX.model_copy(update={"gateway": NGINX.gateway.model_copy(update={"kind": "client"})})


def access(connect: str, *, time_s: float = 5.0, seq: str = "7") -> str:
    """A line as nginx writes it: no space after a colon."""
    fields = {"time_s": time_s, "seq": seq, "status": 502, "upstream_connect_s": connect}
    return json.dumps(fields, separators=(",", ":")) + "\n"


def seen(folder: Path, *lines: str) -> int | None:
    (folder / ACCESS_LOG).write_text("".join(lines))
    return refused(NGINX, folder, 2.0, 8.0)


@pytest.mark.parametrize(
    ("connect", "count"), [("0.000", 0), ("0.064", 0), ("0.300", 0), ("0.999", 1), ("1.024", 1), ("-", 1), ("", 1)]
)
def test_a_connection_that_was_not_made_within_a_second(tmp_path: Path, connect: str, count: int) -> None:
    assert seen(tmp_path, access(connect)) == count


def test_only_requests_of_the_load_within_its_judged_part_count(tmp_path: Path) -> None:
    assert seen(tmp_path, access("-", time_s=1.9), access("-"), access("-", seq=""), access("-", time_s=8.0)) == 1


def test_what_nobody_saw_is_unknown(tmp_path: Path) -> None:
    assert refused(NO_GATEWAY, tmp_path, 0, 9) is None
    assert seen(tmp_path, access("-"), "[]\n", access("-")) is None, "a damaged log"
    assert seen(tmp_path) == 0
