"""Routes in a scenario: what validates, what is refused and where, and what a plan has of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.rundir.plan import Plan
from harness.scenario.load import dry_plan, load_scenario
from harness.upstreams.routes.read import read_routes
from tests.scenario.test_scenario_cli import tailgate
from tests.scenario.world import changed, problems
from tests.upstreams.har_files import document, entry

ROUTES = """\
  azure:
    routes:
      GET /v2/search: {json: {data: [{id: "{seq}-1", to: "{query.dest}"}]}, p50: 20ms, p99: 90ms}
      "GET /v2/airports/{code}": {file: "airports/{code}.json", headers: {ETag: "1"}}
      POST /v2/orders: [{status: 201, json: {ok: true}}, {status: 409}]
      "*": {status: 404, json: {error: no such route}}
    capacity: 20
"""
SERVICE = ("service: {rung: timeout}", 'service: {command: "python3 app.py {port} {azure.url}"}')
FAKE = "  azure: {p50: 60ms, p99: 140ms}\n"


def with_routes(*changes: tuple[str, str], routes: str = ROUTES) -> str:
    return changed(SERVICE, (FAKE, changed(*changes, text=routes)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "airports").mkdir()
    (tmp_path / "airports" / "MUC.json").write_text("{}")
    (tmp_path / "app.py").write_text("")
    return tmp_path


def planned(folder: Path, text: str) -> Plan:
    (folder / "scenario.yaml").write_text(text)
    return dry_plan(load_scenario(folder / "scenario.yaml").checked)[0]


def test_a_plan_has_the_routes_and_survives_its_file(folder: Path) -> None:
    plan = planned(folder, with_routes())
    plan.write(folder)
    assert Plan.read(folder) == plan
    fake = plan.upstreams[0].fake
    assert fake and fake.routes
    assert fake.capacity == 20
    assert fake.routes.names == ("GET /v2/search", "GET /v2/airports/{code}", "POST /v2/orders", "*")
    search, airport, orders, rest = fake.routes.routes
    assert search.profile and search.profile.numbers_ms == {"p50_ms": 20, "p99_ms": 90}
    assert airport.answers[0].file == f"{folder}/airports/{{code}}.json"
    assert [answer.status for answer in orders.answers] == [201, 409]
    assert (rest.method, rest.path) == ("*", "*")


def test_answers_are_looked_into_only_where_every_fake_carries_its_mark(folder: Path) -> None:
    assert planned(folder, with_routes()).load.complete == "none"
    marked = with_routes(('id: "{seq}-1"', 'id: "{mark}"'))
    assert planned(folder, marked).load.complete == "auto"
    gate = changed(("- errors < 1% during", "- complete > 99% during"), text=with_routes())
    (refused,) = problems(folder, gate)
    assert refused.path == "gates[1]"
    written = changed(("  rate: 40/s\n", "  rate: 40/s\n  complete: auto\n"), text=with_routes())
    (refused,) = problems(folder, written)
    assert (refused.path, "{mark}" in refused.fix) == ("load.complete", True)


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("GET /v2/search:", "/v2/search:", "has no method", 6),
        ("GET /v2/search:", "GET v2/search:", "is not a path", 6),
        ("GET /v2/search:", "FETCH /v2/search:", "is not an HTTP method", 6),
        ("GET /v2/search:", "GET /v2/search?a=1:", "is written without a query", 6),
        ("GET /v2/search:", "GET /-/x:", "tailgate uses the paths below /-/ itself", 6),
        ('"GET /v2/airports/{code}"', '"GET /v2/{code}.json"', "is not a parameter", 7),
        ('"GET /v2/airports/{code}"', '"GET /v2/{code}/{code}"', "occurs twice", 7),
        ('"*":', '"GET /v2/airports/{name}":', "matches the same requests", 9),
        ('to: "{query.dest}"', 'to: "{dest}"', "no placeholder `{dest}`", 6),
        ('to: "{query.dest}"', 'to: "{query.dest"', "not closed", 6),
        ("{code}.json", "{cod}.json", "no placeholder `{cod}`", 7),
        ("airports/{code}.json", "airport/{code}.json", "no file matches", 7),
        ("airports/{code}.json", "../{code}.json", "out of the folder of the scenario", 7),
        ("airports/{code}.json", "airports/TXL.json", "No such file", 7),
        ('{ETag: "1"}', "{Content-Length: '1'}", "is set by tailgate, from the body", 7),
        ('{ETag: "1"}', "{ETag: 1}", "the header `ETag`", 7),
        ("status: 404", "status: 99", "too small", 9),
        ("status: 404", "stauts: 404", "unknown key `stauts`", 9),
        ("p50: 20ms, p99: 90ms", "p50: 20ms", "`p50` is given without `p99`", 6),
        ("p50: 20ms, p99: 90ms", "p50: 200ms, p99: 90ms", "below `p50`", 6),
        ("json: {ok: true}", "json: {ok: true}, body: x", "exclude each other", 8),
        ("    capacity: 20", "    rows: 20", "a fake with routes has no `rows`", 10),
        ("    capacity: 20", "    har: x.har", "exclude each other", 10),
        ("    capacity: 20", "    host: x", "only a recording has hosts", 10),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_way_out(
    folder: Path, old: str, new: str, message: str, line: int
) -> None:
    found = problems(folder, with_routes((old, new)))
    assert [message in each.message for each in found] == [True], found
    assert found[0].line == line


def test_the_reference_aggregator_has_its_own_shape(folder: Path) -> None:
    (refused,) = problems(folder, changed((FAKE, ROUTES)))
    assert "speaks the generic shape only" in refused.message


def test_validate_lists_the_routes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "scenario.yaml").write_text(with_routes())
    assert tailgate("validate", str(folder / "scenario.yaml")) == 0
    shown = capsys.readouterr().out
    assert "azure answers 4 routes" in shown
    assert "GET /v2/search                           p50 20 ms, p99 90 ms" in shown
    assert tailgate("validate", "--json", str(folder / "scenario.yaml")) == 0
    (cell,) = json.loads(capsys.readouterr().out)["scenarios"][0]["cells"]
    assert [route["name"] for route in cell["routes"]][:2] == ["GET /v2/search", "GET /v2/airports/{code}"]


OPENAPI = """\
openapi: 3.1.0
info: {title: cars, version: "1"}
paths:
  /cars/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses:
        "200": {description: ok, content: {application/json: {example: {id: 1, brand: "{x}"}}}}
"""
STUB = {
    "request": {"method": "GET", "urlPath": "/rates"},
    "response": {"jsonBody": {"eur": 1.1}, "fixedDelayMilliseconds": 30},
}


def test_a_description_and_stubs_become_routes_by_path_and_digest_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cars.yaml").write_text(OPENAPI)
    (folder / "mappings").mkdir()
    (folder / "mappings" / "rates.json").write_text(json.dumps(STUB))
    text = changed(SERVICE, (FAKE, "  azure: {openapi: cars.yaml}\n"), ("  gcp: {}\n", "  gcp: {wiremock: .}\n"))
    plan = planned(folder, text)
    sources = [upstream.fake.routes for upstream in plan.upstreams if upstream.fake]
    assert [source and source.names for source in sources] == [("GET /cars/{id}",), ("GET /rates",)]
    assert all(source and source.sha256 and not source.routes for source in sources)
    assert "brand" not in plan.model_dump_json()
    assert tailgate("validate", str(folder / "scenario.yaml")) == 0
    shown = capsys.readouterr().out
    assert "GET /rates                               p50 30 ms, p99 30 ms" in shown


def test_a_file_that_cannot_be_read_is_told_where_the_scenario_names_it(folder: Path) -> None:
    (folder / "cars.yaml").write_text("swagger: '2.0'")
    (refused,) = problems(folder, changed(SERVICE, (FAKE, "  azure: {openapi: cars.yaml}\n")))
    assert (refused.path, refused.line) == ("upstreams.azure.openapi", 4)
    (refused,) = problems(folder, changed(SERVICE, (FAKE, "  azure: {wiremock: nowhere}\n")))
    assert refused.path == "upstreams.azure.wiremock"


def test_a_recording_becomes_routes_with_its_latencies_and_no_body_in_the_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [entry("https://api.hotels.example/v1/hotels", '{"name": "Ritz"}', wait=float(n)) for n in range(40)]
    (folder / "hotels.har").write_text(json.dumps(document(entries)))
    plan = planned(folder, changed(SERVICE, (FAKE, "  azure: {har: hotels.har}\n")))
    fake = plan.upstreams[0].fake
    assert fake and fake.routes and fake.routes.path == f"{folder}/hotels.har"
    assert "Ritz" not in plan.model_dump_json()
    (read,) = read_routes(fake.routes, plan.seed).routes
    assert (read.recorded, read.profile and read.profile.kind) == (40, "empirical")
    assert tailgate("validate", str(folder / "scenario.yaml")) == 0
    assert "(40 recorded)" in capsys.readouterr().out

    own = planned(folder, changed(SERVICE, (FAKE, "  azure: {har: hotels.har, p50: 1s, p99: 2s}\n"))).upstreams[0].fake
    assert own and own.routes
    assert [route.profile for route in read_routes(own.routes, plan.seed).routes] == [None]

    (folder / "hotels.har").write_text(json.dumps(document(entries[1:])))
    with pytest.raises(ValueError, match="has changed since the run was planned"):
        read_routes(fake.routes, plan.seed)
