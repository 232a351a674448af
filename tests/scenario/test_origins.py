"""Upstreams with two origins, with a misspelled one, or with a key of another kind of upstream."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from harness.upstreams.fake import CatalogFake
from harness.upstreams.kinds import UPSTREAMS
from tests.scenario.world import changed, only_problem, problems

ORIGINS = {
    "url": "http://localhost:9400",
    "command": "true {port}",
    "proxy": "legacy",
    "routes": "{GET /x: {json: 1}}",
    "har": "x.har",
    "openapi": "x.yaml",
    "wiremock": "stubs",
}


def scenario(upstream: str) -> str:
    return changed(("  gcp: {}", f"  gcp: {upstream}"))


def test_the_table_has_every_origin() -> None:
    assert sorted(ORIGINS) == sorted(UPSTREAMS) == sorted(CatalogFake.ALSO_MEANT)
    assert [key for key, kind in UPSTREAMS.items() if key not in kind.spelled_keys()] == []


@pytest.mark.parametrize(("first", "second"), list(combinations(ORIGINS, 2)))
def test_two_origins_exclude_each_other(tmp_path: Path, first: str, second: str) -> None:
    written = f'{{{first}: {_quoted(first)}, "{second}": {_quoted(second)}}}'
    found = next(one for one in problems(tmp_path, scenario(written)) if "exclude" in one.message)
    assert found.path == f"upstreams.gcp.{found.message.split('`')[1]}"
    assert {found.message.split("`")[1], found.message.split("`")[3]} == {first, second}
    assert "keep one of them" in found.fix


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_misspelled_origin_is_recognized(tmp_path: Path, origin: str) -> None:
    found = only_problem(tmp_path, scenario(f"{{{origin}s: x}}"))
    assert (found.message, found.fix) == (f"unknown key `{origin}s`", f"did you mean `{origin}`?")


def test_a_key_that_is_like_none_is_answered_with_every_origin(tmp_path: Path) -> None:
    found = only_problem(tmp_path, scenario("{zzz: x}"))
    assert all(f"`{origin}`" in found.fix for origin in ORIGINS)


@pytest.mark.parametrize(
    ("upstream", "message", "named"),
    [
        ("{url: 'http://localhost:1', p50: 20ms}", "an upstream with `url` has no `p50`", "a fake with a catalog"),
        ("{command: 'true {port}', p50: 3s}", "an upstream with `command` has no `p50`", "a fake with routes"),
        ("{command: 'true {port}', tls: terminate}", "an upstream with `command` has no `tls`", "with `url`"),
        ("{proxy: legacy, tls: terminate}", "a borrowed proxy has no `tls`", "with `url`"),
        ("{routes: {GET /x: {json: 1}}, protocol: http}", "a fake with routes has no `protocol`", "with `command`"),
        ("{routes: {GET /x: {json: 1}}, rows: 3}", "a fake with routes has no `rows`", "a fake with a catalog"),
        ("{p50: 1ms, ready: GET /}", "a fake with a catalog has no `ready`", "with `command`"),
    ],
)
def test_a_key_of_another_kind_names_both_kinds(tmp_path: Path, upstream: str, message: str, named: str) -> None:
    found = next(one for one in problems(tmp_path, scenario(upstream)) if one.path.startswith("upstreams.gcp."))
    assert found.message == message
    assert named in found.fix


def test_a_misplaced_key_hides_no_other_mistake(tmp_path: Path) -> None:
    found = problems(tmp_path, scenario("{url: 'htp://localhost:1', p50: 20ms, tsl: originate}"))
    assert sorted(one.path for one in found) == ["upstreams.gcp.p50", "upstreams.gcp.tsl", "upstreams.gcp.url"]


def _quoted(origin: str) -> str:
    written = ORIGINS[origin]
    return written if origin == "routes" else f"'{written}'"
