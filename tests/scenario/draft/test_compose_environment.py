"""Values of an environment in the scenario's syntax: addresses as templates, passwords as variables, braces escaped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.scenario.draft.compose.addresses import EnvironmentTranslator
from harness.scenario.draft.compose.interpolation import ComposeVariable, evaluated, pieces_of
from harness.scenario.schema.templates import template_faults
from harness.secrets.literal import literal_secret

SERVICES = {"db": "db", "cache": "cache", "partner": "partner", "user_db": "user_db", "kafka1": "kafka1", "k2": "k2"}
NAMES = {"db": "db", "cache": "cache", "partner": "partner", "user_db": "user-db", "kafka1": "kafka1", "k2": "k2"}
DOTENV = {"KNOWN": "value", "DSN": "postgres://app:pw@db/x", "PAIRS": "host=db password=pw", "API_KEY": "pw"}
KNOWN = [f"{name}.{part}" for name in NAMES.values() for part in ("url", "host", "port", "address")]


def translator() -> EnvironmentTranslator:
    return EnvironmentTranslator(SERVICES, {**NAMES, "api.pay.example": "pay"}, DOTENV)


@pytest.mark.parametrize(
    ("variable", "raw", "value"),
    [
        ("U", "http://partner:8080", "{partner.url}"),
        ("U", "http://partner", "{partner.url}"),
        ("U", "https://partner:8443/v1?a=b", "{partner.url}/v1?a=b"),
        ("U", "grpc://partner:50051", "grpc://{partner.address}"),
        ("U", "redis://cache:6379/0", "redis://{cache.address}/0"),
        ("U", "jdbc:postgresql://db:5432/app", "jdbc:postgresql://{db.address}/app"),
        ("U", "postgresql+psycopg://app@user_db/app", "postgresql+psycopg://app@{user-db.address}/app"),
        ("U", "kafka1:9092,k2:9092", "{kafka1.address},{k2.address}"),
        ("U", "mongodb://app:pw@kafka1:1,k2:2/db", "mongodb://app:${KAFKA1_PASSWORD}@{kafka1.address},{k2.address}/db"),
        ("U", "host=db port=5432 user=app password=pw", "host={db.host} port={db.port} user=app password=${PASSWORD}"),
        ("U", "Server=db;Database=x;Password=pw;", "Server={db.host};Database=x;Password=${PASSWORD};"),
        ("U", "https://api.pay.example/v1", "{pay.url}/v1"),
        ("DB_HOST", "db", "{db.host}"),
        ("DIALECT", "db", "db"),
        ("U", "postgres://app:pw@elsewhere:5432/db", "postgres://app:${ELSEWHERE_PASSWORD}@elsewhere:5432/db"),
        ("U", "http://localhost:80/db", "http://localhost:80/db"),
        ("U", "http://notpartner:8080", "http://notpartner:8080"),
        ("U", "my-db:5432", "my-db:5432"),
        ("U", "12:30", "12:30"),
        ("U", '{"a": "partner"}', '{{"a": "partner"}'),
        ("U", "", ""),
        ("U", "https://k3y@sentry.example/1", "https://${U_USER}@sentry.example/1"),
        ("U", "https://x.example/?api_key=abc&q=1", "https://x.example/?api_key=${API_KEY}&q=1"),
        ("SECRET_KEY", "abc", "${SECRET_KEY}"),
        ("SECRET_KEY", "${SECRET_KEY:-abc}", "${SECRET_KEY}"),
        ("PASSWORD_FILE", "/run/secrets/db", "/run/secrets/db"),
        ("AUTH_URL", "http://partner/auth", "{partner.url}/auth"),
        ("U", "${X}", "${X}"),
        ("U", "$X-b", "${X}-b"),
        ("U", "${KNOWN}", "${KNOWN:-value}"),
        ("U", "${DSN}", "postgres://app:${DB_PASSWORD}@{db.address}/x"),
        ("U", "${PAIRS}", "host={db.host} password=${PASSWORD}"),
        ("U", "${X:-host=db password=pw}", "host={db.host} password=${PASSWORD}"),
        ("U", "${API_KEY}", "${API_KEY}"),
        ("U", "${KNOWN:+other}", "${KNOWN}"),
        ("U", "${X:-a}", "${X:-a}"),
        ("U", "${X-a}", "${X:-a}"),
        ("U", "${X:?is needed}", "${X}"),
        ("U", "${X:-${Y:-z}}", "${X}"),
        ("U", "${X:-http://partner:80}/v1", "{partner.url}/v1"),
        ("U", "http://${H:-partner}:${P:-8080}/v1", "{partner.url}/v1"),
        ("U", "postgres://${A:-app}:${B:-pw}@db:5432/${C:-x}", "postgres://${A:-app}:${B}@{db.address}/${C:-x}"),
        ("U", "cost: $$5", "cost: $5"),
        ("U", "$$", "$"),
    ],
)
def test_each_way_to_write_it(variable: str, raw: str, value: str) -> None:
    made = translator()
    assert made.translate(variable, raw) == value
    assert set(re.findall(r"\$\{(\w+)\}", value)) == set(made.exports)
    assert not list(template_faults(value, [*KNOWN, "pay.url"]))


def test_a_literal_that_a_scenario_would_expand_is_left_out() -> None:
    assert translator().translate("U", "$${HOME}") is None


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["app", "--db", "postgres://app:pw@db/x"], ("app", "--db", "postgres://app:${DB_PASSWORD}@{db.address}/x")),
        (["app", "--db-password", "pw", "-v"], ("app", "--db-password", "${DB_PASSWORD}", "-v")),
        (["app", "--api-token=pw", "--name=n{a}"], ("app", "--api-token=${API_TOKEN}", "--name=n{{a}")),
        (
            ["app", "--db-host", "db", "--cache-host=cache"],
            ("app", "--db-host", "{db.host}", "--cache-host={cache.host}"),
        ),
        (["app", "${TOKEN:-pw}", "-"], ("app", "${TOKEN}", "-")),
        (["app", "$${HOME}"], None),
    ],
)
def test_the_words_of_a_command(words: list[str], written: tuple[str, ...] | None) -> None:
    assert translator().translate_words(words) == written


def test_two_passwords_of_one_upstream_become_two_variables_and_one_password_one() -> None:
    made = translator()
    values = [made.translate("U", f"postgres://app:{password}@db/x") for password in ("one", "two", "one")]
    assert [value and re.findall(r"\$\{(\w+)\}", value) for value in values] == [
        ["DB_PASSWORD"],
        ["DB_PASSWORD_2"],
        ["DB_PASSWORD"],
    ]


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("abdhtp:/@?=&;,. ${}-_+0159\ue000\ue001\n%'\""), max_size=60))
def test_whatever_a_value_is_its_templates_are_known(raw: str) -> None:
    value = translator().translate("U", raw)
    if value is not None:
        assert not list(template_faults(value, [*KNOWN, "pay.url"]))


@settings(deadline=None)
@given(st.text(alphabet="abcdefghijkl0123456789!~*", min_size=12, max_size=30), st.sampled_from(range(10)))
def test_no_password_is_left_in_a_value(password: str, which: int) -> None:
    variable, raw = [
        ("U", f"postgres://app:{password}@db:5432/app"),
        ("U", f"amqp://guest:{password}@elsewhere/"),
        ("U", f"host=db password={password}"),
        ("API_TOKEN", password),
        ("DB_PASSWORD", f"${{DB_PASSWORD:-{password}}}"),
        ("U", f"redis://:${{X:-{password}}}@cache:6379"),
        ("dbPass", password),
        ("U", f"http://app:p@{password}@elsewhere/"),
        ("U", f"http://app:p@{password},@elsewhere/"),
        ("OPTIONS", f"-Dspring.datasource.password='{password}'"),
    ][which]
    value = translator().translate(variable, raw)
    assert value is not None and password not in value
    assert not literal_secret(variable, value)


# ---------------------------------------------------------------- interpolation


def test_the_pieces_of_a_text() -> None:
    assert pieces_of("a$$b${X:-${Y}}c$Z$") == (
        "a$b",
        ComposeVariable("X", ":-", "${Y}"),
        "c",
        ComposeVariable("Z"),
        "$",
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${SET}/${UNSET}", "set/"),
        ("${EMPTY:-d} ${EMPTY-d}", "d "),
        ("${UNSET:-${EMPTY:-${SET}}}", "set"),
        ("${SET:+other}${UNSET:+other}${EMPTY+x}", "otherx"),
        ("${SET:?no}${UNSET:?no}", "set"),
        ("$SET$$SET", "set$SET"),
        ("${not a name} ${SET", "${not a name} ${SET"),
    ],
)
def test_what_compose_would_see(text: str, value: str) -> None:
    assert evaluated(text, {"SET": "set", "EMPTY": ""}) == value


@settings(deadline=None)
@given(st.text(alphabet="${}:-+?aA_ ", max_size=80))
def test_interpolation_never_fails(text: str) -> None:
    assert isinstance(evaluated(text, {"A": "${A}"}), str)
