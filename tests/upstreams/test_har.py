"""Routes from HAR recordings: which host, which routes, how fast, and what is said of the rest."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from fake_backends.providers.exchange import IncomingRequest
from fake_backends.routing.router import Router
from harness.rundir.planned.routes import PlannedProfile
from harness.upstreams.profiles import as_planned
from harness.upstreams.recording import points_of
from harness.upstreams.routes.har.host_recording import ANSWERS_MOST, DISTRIBUTION_LEAST
from harness.upstreams.routes.routes_read import ROUTES_MOST
from tests.upstreams.har_files import URL, entry, mitmproxy_entry, read, refused, route_of

SHOP = "https://api.example.com"
DAY_MS = 86_400_000.0


def test_a_recorded_exchange_becomes_a_route(tmp_path: Path) -> None:
    route = route_of(tmp_path, entry())
    assert (route.method, route.path, route.recorded) == ("GET", "/v1/search", 1)
    (answer,) = route.answers
    assert (answer.status, answer.data, answer.query) == (200, b'{"data": []}', (("to", "BER"),))
    assert route.profile == PlannedProfile(kind="constant", numbers_ms={"constant_ms": 42.5})


def test_mitmproxy_writes_the_same(tmp_path: Path) -> None:
    route = route_of(tmp_path, mitmproxy_entry(body=b"\x89PNG\xff\x00", media_type="image/png"))
    (answer,) = route.answers
    assert (answer.data, answer.headers) == (b"\x89PNG\xff\x00", (("Content-Type", "image/png"),))
    assert route.profile == PlannedProfile(kind="constant", numbers_ms={"constant_ms": 59.0})


def test_answers_and_routes_keep_the_recorded_order(tmp_path: Path) -> None:
    entries = [
        entry(f"{SHOP}/b?page=2&page=1&x=", "first"),
        entry(f"{SHOP}/a", method="POST", status=201),
        entry(f"{SHOP}/b", "second", status=503),
        entry(f"{SHOP}/a", method="OPTIONS", status=204, text=None),
    ]
    b, post, options = read(tmp_path, *entries).routes
    assert [route.name for route in (b, post, options)] == ["GET /b", "POST /a", "OPTIONS /a"]
    assert [(answer.status, answer.data) for answer in b.answers] == [(200, b"first"), (503, b"second")]
    assert [answer.query for answer in b.answers] == [(("page", "2"), ("page", "1"), ("x", "")), ()]
    assert options.answers[0].data is None


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("/caf%C3%A9/x%20y", "/café/x y"),
        ("/a%2fb/c", "/a%2Fb/c"),
        ("/%7Bcode%7D/{code}", "/{{code}}/{{code}}"),
        ("", "/"),
        ("/a/", "/a/"),
        ("/a;v=1;jsessionid=S3CR3T/b", "/a;v=1/b"),
        ("/100%25", "/100%"),
    ],
)
def test_paths_are_decoded_and_never_become_parameters(tmp_path: Path, sent: str, path: str) -> None:
    route = route_of(tmp_path, entry(f"{SHOP}{sent}?a=1#part"))
    assert route.path == path
    if "jsession" not in sent:
        found = Router([route]).find(IncomingRequest("GET", path, raw_path=sent or "/"))
        assert found is not None and found.params == ()
        assert Router([route]).find(IncomingRequest("GET", "/other/thing")) is None


# ---------------------------------------------------------------- hosts


@pytest.mark.parametrize("url", [f"{SHOP}:443/x", "http://api.example.com:80/x", "https://API.Example.com./x"])
@pytest.mark.parametrize("host", ["", "api.example.com", "API.example.com", "api.example.com:443"])
def test_case_and_default_ports_make_no_other_host(tmp_path: Path, url: str, host: str) -> None:
    assert route_of(tmp_path, entry(f"{SHOP}/x"), entry(url), host=host).recorded == 2


@pytest.mark.parametrize("host", ["", "localhost", "localhost:8001"])
def test_a_port_may_be_left_out_where_there_is_one(tmp_path: Path, host: str) -> None:
    assert route_of(tmp_path, entry("http://localhost:8001/x"), host=host).path == "/x"


def test_two_ports_of_a_host_are_told_apart(tmp_path: Path) -> None:
    entries = [entry("http://[::1]:8001/x"), entry("http://[::1]:8002/y"), entry("http://[::1]:8002/y")]
    error = refused(tmp_path, *entries, host="[::1]")
    assert "2 hosts: `[::1]:8002` (2), `[::1]:8001` (1)" in error.message
    assert "host: [::1]:8002" in error.fix
    assert route_of(tmp_path, *entries, host="[::1]:8001").path == "/x"
    assert route_of(tmp_path, *entries, entry("http://[::1]/z"), host="[::1]").path == "/z"


def test_of_several_hosts_the_scenario_chooses(tmp_path: Path) -> None:
    entries = [entry(f"https://h{number}.example.com/", "x") for number in range(8) for _ in range(number + 1)]
    error = refused(tmp_path, *entries)
    listed = ", ".join(f"`h{number}.example.com` ({number + 1})" for number in (7, 6, 5, 4, 3))
    assert error.message == f"partner.har has answers of 8 hosts: {listed} and 3 more"
    assert error.fix == "choose one: `host: h7.example.com`"
    assert route_of(tmp_path, *entries, host="h2.example.com").recorded == 3


def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    error = refused(tmp_path, entry(), entry("https://other.example.org/"), host="api.exmaple.com")
    assert "no answer of `api.exmaple.com`" in error.message
    assert error.fix == "did you mean `api.example.com`?"


def test_two_thousand_hosts_are_read_in_no_time(tmp_path: Path) -> None:
    entries = [entry(f"https://h{number}.example.com/", "x") for number in range(2_000)]
    started = time.process_time()
    error = refused(tmp_path, *entries)
    assert error.message.endswith("and 1,995 more")
    assert route_of(tmp_path, *entries, host="h1999.example.com").recorded == 1
    assert time.process_time() - started < 5


def test_the_chosen_host_may_come_after_more_than_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.upstreams.routes.har.reading.HOSTS_MOST", 3)
    entries = [entry(f"https://h{number}.example.com/") for number in range(9)]
    assert route_of(tmp_path, *entries, host="h8.example.com").recorded == 1


# ---------------------------------------------------------------- what is left out


def test_what_no_fake_can_answer_is_left_out_and_counted(tmp_path: Path) -> None:
    entries = [
        entry(),
        entry("wss://api.example.com/live", None, status=101),
        entry("api.example.com:443", None, method="CONNECT"),
        entry(f"{SHOP}/aborted", None, status=0),
        entry(f"{SHOP}/aborted", None, status=0),
        entry(f"{SHOP}/hints", None, status=103),
        entry("data:image/png;base64,iVBORw0KGgo="),
        entry("chrome-extension://abcdef/app.js"),
    ]
    found = read(tmp_path, *entries)
    assert [route.name for route in found.routes] == ["GET /v1/search"]
    assert found.notes == (
        "1 exchange is left out: CONNECT is a request to a proxy, not to this host",
        "1 exchange is left out: fakes do not speak WebSocket",
        "2 exchanges are left out: they have no answer (status 0)",
        "1 exchange is left out: their status is not that of a final answer (200 to 599)",
    )


def test_hosts_without_an_answer_leave_no_choice_to_make(tmp_path: Path) -> None:
    assert route_of(tmp_path, entry("https://tracker.example.org/", None, status=0), entry()).recorded == 1
    assert "no answered exchange" in refused(tmp_path, entry(status=0)).message


def test_a_recording_without_content_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, entry(text=None, size=812), entry(f"{SHOP}/empty", None, status=204))
    assert "saved without content" in error.message
    assert "save it with content" in error.fix
    beside = refused(tmp_path, entry(text=None, size=-1, _file="0a1b.json"))
    assert "saved without content" in beside.message


@pytest.mark.parametrize("size", [{"size": 812}, {"size": -1, "_file": "a.json"}, {"size": None}])
def test_a_single_exchange_without_its_body_is_left_out(tmp_path: Path, size: dict[str, Any]) -> None:
    lost = entry(f"{SHOP}/lost", None, headers=[("Content-Length", "812")], **size)
    found = read(tmp_path, entry(), lost)
    assert [route.path for route in found.routes] == ["/v1/search"]
    assert found.notes == ("1 exchange is left out: the recording has no body for them",)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_some_answers_never_have_a_body(tmp_path: Path, method: str, status: int) -> None:
    route = route_of(tmp_path, entry(text=None, method=method, status=status, size=812))
    assert route.answers[0].data is None


def test_an_entry_that_is_no_exchange_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path, entry(), {"request": {"method": "GET"}}, entry("https://[::1/x"), entry(method="G T"))
    assert found.routes[0].recorded == 1
    assert found.notes[0].startswith("3 of the entries are left out")


# ---------------------------------------------------------------- latency


def test_twenty_latencies_are_a_distribution_and_nineteen_a_median(tmp_path: Path) -> None:
    latencies = [float(number * number) for number in range(1, DISTRIBUTION_LEAST + 1)]
    entries = [entry(wait=latency, receive=-1) for latency in latencies]
    assert route_of(tmp_path, *entries).profile == PlannedProfile(kind="empirical", points=points_of(latencies))
    assert route_of(tmp_path, *entries[1:]).profile == PlannedProfile(
        kind="constant", numbers_ms={"constant_ms": 121.0}
    )


@pytest.mark.parametrize(
    ("timings", "expected_ms"),
    [
        ({"wait": 30, "receive": -1}, 30),
        ({"wait": -1, "receive": 4}, 4),
        ({"wait": 30}, 30),
        ({"wait": 0, "receive": 0}, 0),
        ({"wait": 2 * DAY_MS, "receive": 4}, 4),
        ({"wait": DAY_MS, "receive": DAY_MS}, None),
        ({"wait": -5, "receive": -1}, None),
        ({"wait": "30", "receive": True}, None),
        ({}, None),
        (None, None),
    ],
)
def test_times_that_are_none_are_ignored(tmp_path: Path, timings: object, expected_ms: float | None) -> None:
    found = read(tmp_path, entry() | {"timings": timings})
    (route,) = found.routes
    if expected_ms is None:
        assert route.profile is None
        assert found.notes == (
            "the recording has no latency for `GET /v1/search`, so the latency of the upstream is used there",
        )
    else:
        assert route.profile is not None
        assert as_planned(route.profile).latency_ms(0.5) == expected_ms
        assert found.notes == ()


def test_an_answer_from_the_cache_says_nothing_of_the_upstream(tmp_path: Path) -> None:
    cached = entry(wait=0.1, receive=0.1) | {"_fromCache": "disk"}
    route = route_of(tmp_path, entry(), cached)
    assert (route.recorded, route.profile) == (2, PlannedProfile(kind="constant", numbers_ms={"constant_ms": 42.5}))


# ---------------------------------------------------------------- bounds


def test_a_route_keeps_its_first_answers_and_all_its_times(tmp_path: Path) -> None:
    entries = [entry(text=f"{number}", wait=number, receive=0) for number in range(ANSWERS_MOST + 50)]
    found = read(tmp_path, *entries)
    (route,) = found.routes
    assert [answer.data for answer in route.answers] == [str(number).encode() for number in range(ANSWERS_MOST)]
    assert route.recorded == ANSWERS_MOST + 50
    assert route.profile is not None and route.profile.points[-1] == (1, ANSWERS_MOST + 49)
    assert "only the first 200 answers are kept" in found.notes[0]


def test_too_many_routes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ROUTES_MOST == 2_000
    monkeypatch.setattr("harness.upstreams.routes.har.host_recording.ROUTES_MOST", 3)
    entries = [entry(f"{SHOP}/{number}") for number in range(3)]
    assert len(read(tmp_path, *entries, entry(f"{SHOP}/2")).routes) == 3
    error = refused(tmp_path, *entries, entry(f"{SHOP}/3"))
    assert "different routes" in error.message and error.fix


def test_notes_are_the_same_every_time(tmp_path: Path) -> None:
    entries = [entry(f"{URL}&token=a&sig=b&password=c&jwt=d"), entry(status=304, text=None)]
    first = read(tmp_path, *entries)
    assert first == read(tmp_path, *entries)
    assert "1 answer has status 304" in first.notes[0]
    assert first.notes[1].endswith("`jwt`, `password`, `sig`, `token`")
