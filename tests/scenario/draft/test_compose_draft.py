"""From a compose file: the service under test, its upstreams, and a scenario that validates as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario import load_scenario
from harness.scenario.draft import scenario_text
from harness.scenario.draft.compose.images import IMAGES, ImageTraits
from harness.scenario.draft.scenario_text import PLACEHOLDER
from tests.scenario.draft.draft_world import comments_of, draft, problems_of, put, refused, tree_of
from tests.scenario.world import uncommented

WHOLE = """\
x-shared: &shared
  LOG_LEVEL: ${LOG_LEVEL:-info}
services:
  api:
    build: .
    command: uvicorn app:app --host 0.0.0.0 --port 8000
    ports: ["8000:8000"]
    environment:
      <<: *shared
      DATABASE_URL: postgres://app:hunter2@db:5432/app
      ASYNC_URL: postgresql+asyncpg://app:hunter2@db/app
      REDIS_URL: redis://cache:6379/0
      FLIGHTS_URL: http://flights:8080/v2
      HOTELS_URL: http://hotels:8080
      PAY_URL: https://api.pay.example/v1
      STUBS_URL: http://stubs:8080
      CARS_URL: http://cars:4010
      BROKERS: kafka:9092
      GREETER: greeter:50051
      MQ_HOST: mq
      MQ_PORT: "5672"
    healthcheck: {test: [CMD, curl, -f, "http://localhost:8000/ready?deep=1"]}
    depends_on:
      migrate: {condition: service_completed_successfully}
      store: {condition: service_started}
  migrate: {image: app, environment: {DATABASE_URL: "postgres://db/app"}}
  db: {image: "registry.example:5000/library/postgres:16@sha256:00", ports: ["5433:5432"]}
  cache: {image: redis}
  flights: {image: partner/flights, ports: ["127.0.0.1:9001:8080"]}
  hotels: {image: partner/hotels}
  stubs: {image: "wiremock/wiremock:3", volumes: ["./stubs:/home/wiremock"]}
  cars:
    image: stoplight/prism:5
    command: mock -h 0.0.0.0 /specs/cars.yaml
    volumes: [{type: bind, source: ./specs, target: /specs}]
  kafka: {image: "bitnami/kafka:3", ports: ["9092:9092"]}
  greeter: {build: ./greeter, ports: [{target: 50051, published: "50052", host_ip: 127.0.0.1}], profiles: [extra]}
  mq: {image: "rabbitmq:3-management", ports: ["15672:15672", "5672:5672"]}
  store: {image: mongo, ports: ["27017:27017"]}
"""
CARS = """\
openapi: 3.1.0
info: {title: Cars, version: "1"}
paths: {/cars: {get: {responses: {"200": {description: ok}}}}}
"""
STUB = '{"request": {"method": "GET", "url": "/x"}, "response": {"status": 200, "body": "ok"}}'


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    for folder in ("stubs/mappings", "specs"):
        (tmp_path / folder).mkdir(parents=True)
    put(tmp_path / "stubs/mappings", a__json=STUB)
    put(tmp_path / "specs", cars__yaml=CARS)
    return put(tmp_path, compose__yaml=WHOLE)[0]


def test_a_whole_compose_file_makes_a_scenario_that_validates(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = draft([whole], folder=whole.parent)
    assert problems_of(made, whole.parent, monkeypatch) == []
    assert made.exports == ("DB_PASSWORD",)
    assert "hunter2" not in scenario_text(made)
    assert "export DB_PASSWORD=…" in comments_of(made)


def test_environment_and_upstreams_of_the_whole(whole: Path) -> None:
    tree = tree_of(draft([whole], folder=whole.parent))
    assert tree["service"]["env"] == {
        "LOG_LEVEL": "${LOG_LEVEL:-info}",
        "DATABASE_URL": "{db.url}",
        "ASYNC_URL": "postgresql+asyncpg://app:${DB_PASSWORD}@{db.address}/app",
        "REDIS_URL": "{cache.url}",
        "FLIGHTS_URL": "{flights.url}/v2",
        "HOTELS_URL": "{hotels.url}",
        "PAY_URL": "{pay.url}/v1",
        "STUBS_URL": "{stubs.url}",
        "CARS_URL": "{cars.url}",
        "BROKERS": "{kafka.address}",
        "GREETER": "{greeter.address}",
        "MQ_HOST": "{mq.host}",
        "MQ_PORT": "{mq.port}",
    }
    assert tree["upstreams"] == {
        "db": "postgres://app:${DB_PASSWORD}@localhost:5433/app",
        "cache": "redis://localhost:6379/0",
        "flights": "http://127.0.0.1:9001",
        "hotels": {"routes": {"*": {"json": {}}}},
        "stubs": {"wiremock": "stubs"},
        "cars": {"openapi": "specs/cars.yaml"},
        "kafka": {"url": "kafka://localhost:9092", "port": 19092},
        "greeter": "tcp://127.0.0.1:50052",
        "mq": "amqp://localhost:5672",
        "pay": {"routes": {"*": {"json": {}}}},
        "store": "tcp://localhost:27017",
    }
    assert tree["service"]["command"] == ("sh", "-c", "exec uvicorn app:app --host 127.0.0.1 --port {port}")
    assert "127.0.0.1 is enough here" in comments_of(draft([whole], folder=whole.parent))
    assert tree["service"]["ready"] == "GET /ready?deep=1 within 30s"


def test_the_first_fault_is_on_a_partner_and_a_gate_judges_it(whole: Path) -> None:
    tree = tree_of(draft([whole], folder=whole.parent))
    assert tree["faults"] == ({"upstream": "flights", "latency": "60s", "for": "60s"},)
    assert "errors < 1% during flights-latency" in tree["gates"]


def test_what_is_not_known_is_said(whole: Path) -> None:
    said = comments_of(draft([whole], folder=whole.parent))
    for sentence in (
        'compose publishes no port of `cache`: add `ports: ["6379:6379"]`',
        "compose publishes no port of `hotels`, so a fake stands in for it",
        "api.pay.example is outside this machine",
        "let the broker advertise 127.0.0.1:19092",
        "started by `docker compose --profile extra up` only",
        "no variable of the service names `store`",
        "services that `api` neither names nor depends on: `migrate`",
        "CHECK: the busiest rate",
        "CHECK: the limits",
        "CHECK: a request",
        "CHECK: does this start the service",
    ):
        assert sentence in said


def test_without_any_partner_over_http_the_database_breaks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """\
services:
  api: {build: ., ports: ["80:80"], depends_on: [shop], environment: {DB: "mysql://db/x"}}
  shop: {image: shop, ports: ["81:81"]}
  db: {image: mariadb}
"""
    made = draft(put(tmp_path, c__yaml=text), folder=tmp_path)
    assert tree_of(made)["faults"][0]["upstream"] == "db"
    assert list(tree_of(made)["upstreams"]) == ["db", "shop"]
    assert problems_of(made, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("traits", IMAGES, ids=lambda traits: traits.word)
def test_each_known_image_alone_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traits: ImageTraits, published: bool
) -> None:
    ports = f", ports: ['{traits.port}:{traits.port}']" if published else ""
    text = f"""\
services:
  api: {{build: ., ports: ["80:80"], environment: {{U: "other:{traits.port}"}}}}
  other: {{image: "registry.example/{traits.word}:1"{ports}}}
"""
    made = draft(put(tmp_path, c__yaml=text), folder=tmp_path)
    assert problems_of(made, tmp_path, monkeypatch) == []
    assert f"{traits.scheme}://localhost:{traits.port}" in str(tree_of(made)["upstreams"]["other"])
    fault = "down" if traits.scheme == "tcp" else "latency"
    assert fault in tree_of(made)["faults"][0]


def test_a_service_without_a_command_and_without_backends_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = draft(put(tmp_path, c__yaml="services: {api: {build: ., ports: ['80:8000']}}"), folder=tmp_path)
    assert problems_of(made, tmp_path, monkeypatch) == []
    assert tree_of(made)["service"]["env"] == {"PORT": "{port}"}
    assert "how is the service started?" in comments_of(made)
    assert "faults" not in tree_of(made)


def test_the_port_of_the_container_becomes_the_port_of_the_run(tmp_path: Path) -> None:
    text = """\
services:
  api:
    build: .
    ports: ["80:8000"]
    entrypoint: [python, -m, app]
    command: [--bind=0.0.0.0:8000, --workers, "8000000", --width, "{8000}"]
    environment: [PORT=8000, OTHER_PORT=9000]
"""
    made = draft(put(tmp_path, c__yaml=text), folder=tmp_path)
    tree = tree_of(made)
    command = " ".join(tree["service"]["command"])
    assert "--bind=127.0.0.1:{port}" in command and "8000000" in command and "{{8000}" in command
    assert tree["service"]["env"] == {"PORT": "{port}", "OTHER_PORT": "9000"}


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("python -m app --port 8000", "python -m app --port {port}"),
        ("[python, -c, 'a b']", ("python", "-c", "a b")),
        ("[python, -m, 'app:']", ("python", "-m", "app:")),
        ("absent --port 8000", ("sh", "-c", "exec absent --port {port}")),
        ("absent 'a b' \"'\" --port=8000", ("sh", "-c", "exec absent 'a b' ''\"'\"'' '--port={port}'")),
        ("python $${X}", ("sh", "-c", PLACEHOLDER)),
    ],
)
def test_a_program_that_is_not_here_is_looked_for_by_a_shell(tmp_path: Path, command: str, written: object) -> None:
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.touch(mode=0o755)
    text = f"services:\n  api:\n    build: .\n    ports: ['80:8000']\n    command: {command}\n"
    made = draft(put(tmp_path, c__yaml=text), folder=tmp_path, environ={"PATH": str(program.parent)})
    assert tree_of(made)["service"]["command"] == written


@pytest.mark.parametrize(
    ("dockerfile", "extra", "words"),
    [
        ('FROM a\nCMD ["x"]\nFROM b\nCMD ["run", "--port", "8000"]\n', "", "run --port {port}"),
        ("FROM a\nENTRYPOINT run\nCMD --one \\\n  --two\n", "", "run --one --two"),
        ('FROM a\nENTRYPOINT ["run"]\nCMD ["a"]\n', "command: b", "run b"),
        ('FROM a\nENTRYPOINT ["run"]\nCMD ["a"]\n', "entrypoint: go", "go"),
        ("FROM a\nCMD run --port $PORT && true\n", "", "sh -c 'run --port ${PORT} && true'"),
        ("FROM a\nCMD [broken\n", "", None),
        ("FROM a\n", "", None),
    ],
)
def test_the_dockerfile_says_how_the_service_starts(
    tmp_path: Path, dockerfile: str, extra: str, words: str | None
) -> None:
    put(tmp_path, Dockerfile=dockerfile)
    text = f"services:\n  api:\n    build: {{context: .}}\n    ports: ['80:8000']\n    {extra}\n"
    command = tree_of(draft(put(tmp_path, c__yaml=text), folder=tmp_path))["service"]["command"]
    assert command == ("sh", "-c", PLACEHOLDER if words is None else f"exec {words}")


# ---------------------------------------------------------------- which service is under test

SEVERAL = """\
services:
  api: {build: ., ports: ["80:80"], environment: {W: "http://web:80"}}
  web: {build: ., ports: ["81:80"]}
  worker: {build: .}
"""


def test_of_several_services_one_has_to_be_named(tmp_path: Path) -> None:
    files = put(tmp_path, c__yaml=SEVERAL)
    assert refused(files, folder=tmp_path) == (
        "it is not clear which service is under test: several services are both built and published | "
        "add --service NAME, one of `api`, `web`"
    )
    assert tree_of(draft(files, "api", folder=tmp_path))["upstreams"] == {"web": "http://localhost:81"}
    assert draft(files, "worker", folder=tmp_path).name == "worker with a slow upstream"


def test_a_service_that_is_not_there_and_a_file_without_one(tmp_path: Path) -> None:
    files = put(tmp_path, c__yaml=SEVERAL, d__yaml="services: {a: {image: x}, b: {build: .}}", e__yaml="services: {}")
    assert refused(files[:1], "apo", folder=tmp_path) == "there is no service `apo` | did you mean `api`?"
    assert "no service is both built and published | add --service NAME, one of `a`, `b`" in refused(
        files[1:2], folder=tmp_path
    )
    assert "has no service" in refused(files[2:], folder=tmp_path)


# ---------------------------------------------------------------- extends, several files, env_file


def test_extends_is_followed_in_the_file_and_in_others(tmp_path: Path) -> None:
    text = """\
services:
  api:
    extends: {file: base.yaml, service: app}
    ports: ["80:8000"]
    environment: {B: own}
  db: {extends: shared, ports: ["5432:5432"]}
  shared: {image: postgres}
"""
    base = """\
services:
  app: {extends: root, build: ./app, environment: [A=base, "B=base", "DB=postgres://db/x"]}
  root: {command: python -m app, environment: {C: root}, depends_on: [elsewhere]}
"""
    tree = tree_of(draft(put(tmp_path, c__yaml=text, base__yaml=base)[:1], folder=tmp_path))
    env = {key: value for key, value in tree["service"]["env"].items() if key != "PORT"}
    assert env == {"C": "root", "A": "base", "B": "own", "DB": "{db.url}"}
    assert tree["upstreams"] == {"db": "postgres://localhost:5432/x"}
    assert "python" in tree["service"]["command"][-1]


@pytest.mark.parametrize(
    ("extends", "said"),
    [
        ("api", "2: services.api.extends: services extend each other in a circle"),
        ("apo", "2: services.api.extends: there is no service `apo`"),
        ("{file: c.yaml, service: api}", "2: services.api.extends: services extend each other in a circle"),
    ],
)
def test_extends_that_leads_nowhere(tmp_path: Path, extends: str, said: str) -> None:
    text = f"services:\n  api: {{build: ., ports: ['80:80'], extends: {extends}}}\n"
    assert said in refused(put(tmp_path, c__yaml=text), folder=tmp_path)


def test_what_cannot_be_read_is_named_and_the_rest_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
include: [other.yaml]
services:
  api: {build: ., ports: ["80:80"], env_file: [gone.env, {path: there.env}], extends: {file: gone.yaml, service: x}}
  mock: {image: wiremock/wiremock, volumes: ["./gone:/home/wiremock"], ports: ["8081:8080"]}
"""
    there = "# a comment\nexport MOCK_URL='http://mock:8080'\nAPI_TOKEN=abcdef123456\n=x\nno line\nPLAIN=a b # said\n"
    made = draft(put(tmp_path, c__yaml=text, there__env=there)[:1], folder=tmp_path)
    tree = tree_of(made)
    assert tree["service"]["env"]["MOCK_URL"] == "{mock.url}"
    assert tree["service"]["env"]["API_TOKEN"] == "${API_TOKEN}"
    assert tree["service"]["env"]["PLAIN"] == "a b"
    assert tree["upstreams"] == {"mock": "http://localhost:8081"}
    said = comments_of(made)
    for sentence in ("`include` of c.yaml is not followed", "`env_file` of api was not read", "./gone cannot be used"):
        assert sentence in said
    assert "`api` extends a service that cannot be read" in said
    assert problems_of(made, tmp_path, monkeypatch) == []


def test_several_compose_files_are_merged_as_compose_does_it(tmp_path: Path) -> None:
    first = "services:\n  api: {build: ., environment: {A: one, B: one}}\n  db: {image: postgres}\n"
    second = "services:\n  api: {ports: ['80:80'], environment: [B=two, 'D=db:5432']}\n  db: {ports: ['6000:5432']}\n"
    tree = tree_of(draft(put(tmp_path, a__yaml=first, b__yaml=second), folder=tmp_path))
    assert tree["service"]["env"] == {"A": "one", "B": "two", "D": "{db.address}", "PORT": "{port}"}
    assert tree["upstreams"] == {"db": "postgres://localhost:6000"}


def test_structure_is_interpolated_from_the_environment_and_the_dotenv_file(tmp_path: Path) -> None:
    text = """\
services:
  api: {build: ., ports: ["${API_PORT:-80}:80"], environment: {DB: "postgres://db/x", MODE: "${MODE}"}}
  db: {image: "${IMAGE}", ports: ["${DB_PORT}:5432"]}
"""
    put(tmp_path, __env="IMAGE=postgres:16\nDB_PORT=6001\nMODE=fast\n")
    files = put(tmp_path, c__yaml=text)
    tree = tree_of(draft(files, folder=tmp_path, environ={"DB_PORT": "6002"}))
    assert tree["upstreams"] == {"db": "postgres://localhost:6002/x"}
    assert tree["service"]["env"]["MODE"] == "${MODE:-fast}"


def test_paths_are_relative_to_the_scenario(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = whole.parent / "load" / "scenarios"
    folder.mkdir(parents=True)
    made = draft([whole], folder=folder)
    assert tree_of(made)["upstreams"]["stubs"] == {"wiremock": "../../stubs"}
    assert tree_of(made)["service"]["cwd"] == "../.."
    assert problems_of(made, folder, monkeypatch) == []


def test_upstreams_that_are_not_broken_are_named_with_a_fault_for_each(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = draft([whole], folder=whole.parent)
    text = scenario_text(made)
    others = [upstream.name for upstream in made.upstreams if upstream.name != "flights"]
    assert f"nothing breaks {', '.join(others[:6])} and {len(others) - 6} more yet" in comments_of(made)
    for name in made.exports:
        monkeypatch.setenv(name, "hunter2-of-the-test")
    path = whole.parent / "every.yaml"
    path.write_text(uncommented(text), encoding="utf-8")
    scenario = load_scenario(path).scenario
    assert [fault.targets for fault in scenario.faults] == [("flights",), *((name,) for name in others)]
    assert scenario.gates is not None
    assert len(scenario.gates) == 1 + 3 * len(scenario.faults)


def test_an_only_upstream_has_no_others_to_break(tmp_path: Path) -> None:
    text = 'services: {api: {build: ., ports: ["80:80"], environment: {DB: "mysql://db/x"}}, db: {image: mariadb}}'
    assert "nothing breaks" not in comments_of(draft(put(tmp_path, c__yaml=text), folder=tmp_path))
