"""Files that are no HAR recording, are cut, large or wrong in any value: routes or a clear refusal, nothing else."""

from __future__ import annotations

import copy
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from harness.upstreams.routes import read as read_module
from harness.upstreams.routes.har import entries, read_hosts, reading
from harness.upstreams.routes.har.exchanges import RecordedExchange, exchanges_of
from harness.upstreams.routes.read import read_routes
from harness.upstreams.routes.routes_read import RoutesRead, UnreadableRoutes
from tests.scenario.world import load, plan_of
from tests.upstreams.har_files import URL, document, entry, mitmproxy_entry, read_har, written

WRONG: Final[tuple[Any, ...]] = (None, 7, -1, 1.5, 10**15, 1e300, True, "", "x", [], [None, 1], {}, {"item": [1]})


def refusal(path: Path, content: bytes) -> UnreadableRoutes:
    path.write_bytes(content)
    with pytest.raises(UnreadableRoutes) as caught:
        read_har(path, "")
    assert path.name in caught.value.message and str(path.parent) not in caught.value.message
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is cut"),
        (b"   \n", "is cut"),
        (b"<html>", "is not valid JSON"),
        (b'{"log": {"entries": []}} x', "is not valid JSON"),
        (b'{"log": {"entries": ["\xff"]}}', "is not valid JSON"),
        ('{"log": {}}'.encode("utf-16"), "is not valid JSON"),
        (b'{"log": {"entries": [' + b"9" * 5_000 + b"]}}", "is not valid JSON"),
        (b'{"log": {"entries": [1e99999999999999999999999]}}', "a number beyond 64 bits"),
        (b"[" * 200_000, "is cut"),
        (b"[]", "no list `log.entries`"),
        (b"3", "no list `log.entries`"),
        (b'{"log": {"entries": {"item": []}}}', "no list `log.entries`"),
        (b'{"log.entries": []}', "no list `log.entries`"),
        (b'{"log": []}', "no list `log.entries`"),
        (b'{"log": {"entries": []}}', "has no answered exchange"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refusal(tmp_path / "a.har", content).message


def test_a_recording_that_is_cut_anywhere(tmp_path: Path) -> None:
    whole = json.dumps(document([entry(), mitmproxy_entry()])).encode()
    for end in range(0, len(whole) - 1, 7):
        assert "is cut" in refusal(tmp_path / "a.har", whole[:end]).message
    assert "after 2 whole entries" in refusal(tmp_path / "a.har", whole[:-1]).message


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(document([entry()])).encode())
    assert len(read_har(path, "").routes) == 1


def test_a_path_that_is_no_readable_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.har", tmp_path / ("x" * 300)):
        with pytest.raises(UnreadableRoutes) as caught:
            read_har(path, "")
        assert caught.value.fix


def test_a_file_above_the_bound_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.touch()
    os.truncate(path, entries.FILE_BYTES_MOST + 1)
    with pytest.raises(UnreadableRoutes, match="more than the 100 MB"):
        read_har(path, "")


def test_memory_is_that_of_the_one_host(tmp_path: Path) -> None:
    other = entry("https://cdn.example.org/app.js", "x" * 2_000)
    path = written(tmp_path, [entry(), *[other] * 1_000, entry()])
    read_har(path, "api.example.com")  # what is imported and cached once is not the memory of a file
    tracemalloc.start()
    try:
        found = read_har(path, "api.example.com")
        _, peak_bytes = tracemalloc.get_traced_memory()
        with pytest.raises(UnreadableRoutes, match="2 hosts"):
            read_har(path, "")
        _, peak_unknown_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.routes[0].recorded == 2
    assert path.stat().st_size > 3_000_000
    assert max(peak_bytes, peak_unknown_bytes) < 500_000


# ---------------------------------------------------------------- wrong types at every level


def places(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in members:
        yield from places(value, (*path, key))


def replaced(tree: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(tree)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


VALID: Final = document([entry(f"{URL}&token=abc"), mitmproxy_entry(body=b"\xff\x00", media_type="image/png")])


@pytest.mark.parametrize("place", list(places(VALID)), ids=lambda place: ".".join(map(str, place)) or "root")
def test_any_value_may_have_any_type(tmp_path: Path, place: tuple[str | int, ...]) -> None:
    path = tmp_path / "a.har"
    for wrong in WRONG:
        path.write_text(json.dumps(replaced(VALID, place, wrong)), encoding="utf-8")
        for host in ("", "api.example.com"):
            try:
                found = read_har(path, host)
            except UnreadableRoutes as exc:
                assert exc.message and exc.fix
            else:
                assert isinstance(found, RoutesRead) and found.routes


def test_a_missing_member_is_as_good_as_a_wrong_one(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    for place in places(VALID):
        if not place or not isinstance(place[-1], str):
            continue
        tree = copy.deepcopy(VALID)
        inner: Any = tree
        for key in place[:-1]:
            inner = inner[key]
        del inner[place[-1]]
        path.write_text(json.dumps(tree), encoding="utf-8")
        try:
            assert read_har(path, "").routes
        except UnreadableRoutes as exc:
            assert exc.message and exc.fix


def test_a_recording_of_several_upstreams_is_read_once_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [f"h{number}.example.com" for number in range(5)]
    recorded = [entry(f"https://{host}/{turn}", f'{{"of": "{host}"}}') for turn in range(3) for host in hosts]
    recording = written(tmp_path, recorded)
    passes: list[Path] = []

    def counted(path: Path) -> Iterator[RecordedExchange | None]:
        passes.append(path)
        return exchanges_of(path)

    monkeypatch.setattr(reading, "exchanges_of", counted)
    upstreams = "".join(f"  u{at}: {{har: {recording.name}, host: {host}}}\n" for at, host in enumerate(hosts))
    told = " ".join(f"{{u{at}.url}}" for at in range(len(hosts)))
    plan = plan_of(
        load(
            tmp_path,
            f"name: x\nservice: {{command: 'true {{port}}', env: {{ALL: '{told}'}}}}\n"
            f"upstreams:\n{upstreams}load: {{request: GET /x, rate: 20/s}}\n",
        )
    )
    assert len(passes) == 1
    read_module._read_recording.cache_clear()  # as in the fakes' process
    for planned, host in zip(plan.upstreams, hosts, strict=True):
        assert planned.fake is not None and planned.fake.routes is not None
        read = read_routes(planned.fake.routes, plan.seed).routes
        assert read == read_har(recording, host).routes
        assert [route.name for route in read] == ["GET /0", "GET /1", "GET /2"]
    assert len(passes) == 2 + len(hosts), "one of the fakes' process, and those of this test"


def test_a_host_without_answers_hinders_no_other(tmp_path: Path) -> None:
    found = read_hosts(written(tmp_path, [entry()]), ("api.example.com", "gone.example.com"))
    assert isinstance(found["api.example.com"], RoutesRead)
    refused = found["gone.example.com"]
    assert isinstance(refused, UnreadableRoutes) and "no answer of `gone.example.com`" in refused.message
