"""Broken and odd compose files: each mistake with its line, several at once, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import ScenarioError, UsageError
from tests.scenario.draft.draft_world import draft, problems_of, put, refused, tree_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: [a, b]", "1: services: `services` is a mapping"),
        ("services:\n  api: 5", "2: services.api: a service is a mapping"),
        ("services:\n  api:\n    ports: 80", "3: services.api.ports: ports are a list"),
        ("services:\n  api:\n    ports:\n      - eighty", "4: services.api.ports: `eighty` is not a port"),
        ("services:\n  api:\n    ports: ['80:99999999']", "3: services.api.ports: `80:99999999` is not a port"),
        (
            "services:\n  api:\n    environment: A=b",
            "3: services.api.environment: an environment is a mapping or a list",
        ),
        ("services:\n  api:\n    environment:\n      A: [b]", "4: services.api.environment.A: the value of a variable"),
        (
            "services:\n  api:\n    environment:\n      - {A: b}",
            "4: services.api.environment: a variable is NAME=VALUE",
        ),
        ("services:\n  api:\n    command: it's", "3: services.api.command: cannot be split into words"),
        ("services:\n  api:\n   image: x\n  image: y\n bad", "not YAML"),
        ("services:\n\tapi: {}", "2: : YAML is indented with spaces"),
        ("services:\n  a: {}\n  a: {}", "3: services.a: `a` is written twice"),
        ("services:\n  a:\n    <<: *none", "3: : there is no anchor `&none`"),
        ("services:\n  a:\n    <<: text", "3: services.a.<<: `<<` merges mappings only"),
        ("services:\n  a: {ports: !reset []}", "2: services.a.ports: the tag `!reset` means nothing here"),
        ("services: {}\n---\nservices: {}", "a file contains one compose file"),
    ],
)
def test_each_mistake_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(put(tmp_path, c__yaml=text), folder=tmp_path)


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    text = "services:\n  a: {ports: 1}\n  b: {environment: x}\n  c: 7\n"
    assert len(refused(put(tmp_path, c__yaml=text), folder=tmp_path).split("\n")) == 3


def test_a_file_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    anchors = "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 9))
    assert "at most 20,000" in refused(put(tmp_path, c__yaml=f"x-0: &a0 [1]\n{anchors}services: {{}}"), folder=tmp_path)


@pytest.mark.parametrize(
    ("port", "upstream"),
    [
        ('"5000:5432"', "postgres://localhost:5000"),
        ('"127.0.0.1:5000:5432/tcp"', "postgres://127.0.0.1:5000"),
        ('"0.0.0.0:5000:5432"', "postgres://localhost:5000"),
        ('"[::1]:5000:5432"', "postgres://[::1]:5000"),
        ('"4998-5003:5430-5435"', "postgres://localhost:5000"),
        ("{target: 5432, published: 5000}", "postgres://localhost:5000"),
        ("{target: 5432, published: '5000', host_ip: 127.0.0.1, protocol: tcp}", "postgres://127.0.0.1:5000"),
        ('"5000:5432/udp"', "postgres://localhost:5432"),
        ('"5432"', "postgres://localhost:5432"),
        ('"5000-5005:5432"', "postgres://localhost:5432"),
    ],
)
def test_every_form_of_a_port(tmp_path: Path, port: str, upstream: str) -> None:
    text = f"""\
services:
  api: {{build: ., ports: ["80:80"], environment: {{DB: "db:5432"}}}}
  db: {{image: postgres, ports: [{port}]}}
"""
    assert tree_of(draft(put(tmp_path, c__yaml=text), folder=tmp_path))["upstreams"] == {"db": upstream}


@pytest.mark.parametrize(
    ("name", "written"), [("user_db", "user-db"), ("main", "main-upstream"), ("9lives", "lives"), ("_", "upstream")]
)
def test_names_that_an_upstream_cannot_have(tmp_path: Path, name: str, written: str) -> None:
    api = f'{{build: ., ports: ["80:80"], environment: {{DB_HOST: "{name}"}}}}'
    text = f'services: {{api: {api}, "{name}": {{image: redis}}}}'
    tree = tree_of(draft(put(tmp_path, c__yaml=text), folder=tmp_path))
    assert list(tree["upstreams"]) == [written]
    assert tree["service"]["env"]["DB_HOST"] == f"{{{written}.host}}"


def test_two_services_whose_names_become_the_same_stay_two(tmp_path: Path) -> None:
    text = 'services: {api: {build: ., ports: ["80:80"], environment: ["U=a_b:1,a.b:2"]}, a_b: {}, a.b: {}}'
    tree = tree_of(draft(put(tmp_path, c__yaml=text), folder=tmp_path))
    assert list(tree["upstreams"]) == ["a-b", "a-b-2"]
    assert tree["service"]["env"]["U"] == "{a-b.address},{a-b-2.address}"


TEXTS = st.text(st.characters(max_codepoint=0xFFFD, exclude_characters="\0", codec="utf-8"), max_size=12)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 70_000),
    TEXTS,
    st.sampled_from(["db", "a:80", "80:80", "."]),
)
KEYS = st.sampled_from(
    (
        "image",
        "build",
        "ports",
        "environment",
        "command",
        "extends",
        "volumes",
        "depends_on",
        "healthcheck",
        "env_file",
        "profiles",
        "networks",
        "expose",
        "entrypoint",
        "test",
        "target",
        "source",
        "file",
        "service",
        "condition",
        "api",
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
ENVIRONMENT = st.dictionaries(
    st.sampled_from(["DB_HOST", "DB_PORT", "PORT", "U", "API_URL", "a b", "KEY"]),
    st.one_of(
        SCALARS,
        st.sampled_from(["http://db", "https://x.example/{a}", "postgres://${A:-b}:pw@db:1/${C}?sslmode=verify-full"]),
        st.text(alphabet="dbap:/@?=&${}-_1 .", max_size=30),
    ),
    max_size=4,
)
LIKELY = st.fixed_dictionaries(
    {"environment": ENVIRONMENT},
    optional={
        "build": st.just("."),
        "image": st.sampled_from(["postgres", "redis:7", "kafka", "x/wiremock", "prism", "app"]),
        "ports": st.lists(st.sampled_from(["80:80", "81:5432", "9092:9092", "1", "65535:65535"]), max_size=2),
        "depends_on": st.just(["db", "gone"]),
        "command": st.one_of(
            st.sampled_from(["app --port 80", "a: b", "x #y", "a $$b {c}"]), st.lists(TEXTS, max_size=3)
        ),
        "profiles": st.just(["p"]),
    },
)
SERVICE = st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=6), LIKELY)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(api=LIKELY, db=LIKELY)
def test_whatever_a_service_is_told_the_scenario_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: dict[str, Any], db: dict[str, Any]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps({"services": {"api": api, "db": db}}), encoding="utf-8")
    assert problems_of(draft([path], "api", folder=tmp_path), tmp_path, monkeypatch) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(services=st.dictionaries(st.sampled_from(["api", "db", "a b"]), SERVICE, max_size=3), wanted=st.booleans())
def test_whatever_stands_in_a_service_its_draft_validates_or_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: dict[str, Any], wanted: bool
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps({"services": services}), encoding="utf-8")
    try:
        made = draft([path], *(["api"] if wanted else []), folder=tmp_path)
    except (UsageError, ScenarioError) as exc:
        assert exc.message
    else:
        assert problems_of(made, tmp_path, monkeypatch) == []
