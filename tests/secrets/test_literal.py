"""Which texts of a scenario hold a secret that is written out: none is missed, and what is none is left alone."""

from __future__ import annotations

import pytest

from harness.secrets.literal import literal_in_words, literal_secret


@pytest.mark.parametrize(
    ("name", "text", "variable"),
    [
        ("PGPASSWORD", "hunter2", "PGPASSWORD"),
        ("MYSQL_PWD", "hunter2", "MYSQL_PWD"),
        ("dbPassword", "hunter2", "DB_PASSWORD"),
        ("DB_PASS", "hunter2", "DB_PASS"),
        ("CLIENT_SECRET", "hunter2", "CLIENT_SECRET"),
        ("GITHUB_TOKEN", "hunter2", "GITHUB_TOKEN"),
        ("STRIPE_API_KEY", "hunter2", "STRIPE_API_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", "AWS_SECRET_ACCESS_KEY"),
        ("Authorization", "Bearer hunter2", "AUTHORIZATION"),
        ("X-Api-Key", "hunter2", "X_API_KEY"),
        ("PASSWORD", "hunter{{2}}", "PASSWORD"),
        ("DATABASE_URL", "postgres://app:hunter2@localhost/app", "DATABASE_PASSWORD"),
        ("DATABASE_URL", "postgres://app:hunter2@{db.address}/app", "DATABASE_PASSWORD"),
        ("DATABASE_URL", "postgres://${USER}:hunter2@{db.address}/app", "DATABASE_PASSWORD"),
        ("DATABASE_URL", "postgres://app:hunter2${SUFFIX}@{db.address}/app", "DATABASE_PASSWORD"),
        ("CACHE", "redis://:hunter2@{cache.address}/0", "CACHE_PASSWORD"),
        ("BROKERS", "amqp://a:${ONE}@h1,amqp://a:hunter2@h2", "BROKERS_PASSWORD"),
        ("URL", "http://app:p@ss@host/", "PASSWORD"),
        ("DSN", "host={db.host} user=app password=hunter2", "PASSWORD"),
        ("JDBC", "jdbc:postgresql://{db.address}/app?user=app&password=hunter2", "PASSWORD"),
        ("ODBC", "Server={db.host};Pwd = 'hunter2';", "PWD"),
        ("JAVA_OPTS", "-Xmx1g -Dspring.datasource.password=hunter2", "SPRING_DATASOURCE_PASSWORD"),
    ],
)
def test_a_secret_is_found_and_a_variable_is_named_for_it(name: str, text: str, variable: str) -> None:
    found = literal_secret(name, text)
    assert found is not None
    assert found.variable == variable
    assert "hunter" not in found.where


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PGPASSWORD", "${PGPASSWORD}"),
        ("PGPASSWORD", "${PGPASSWORD:-test}"),
        ("PGPASSWORD", ""),
        ("TOKEN", "x-${TOKEN}"),
        ("Authorization", "Bearer ${TOKEN}"),
        ("Authorization", "Bearer {token}"),
        ("DATABASE_URL", "{db.url}"),
        ("DATABASE_URL", "postgres://app:${PG_PASS}@{db.address}/app?sslmode=disable"),
        ("DATABASE_URL", "postgres://app:${PG_PASS:-app}@localhost:5432/app"),
        ("DATABASE_URL", "postgres://app@localhost:5432/app"),
        ("DSN", "host=db password=${PG_PASS} dbname=app"),
        ("AUTH_URL", "http://127.0.0.1:9000/login"),
        ("TOKEN_URL", "http://127.0.0.1:9000/token"),
        ("PASSWORD_FILE", "/run/secrets/db"),
        ("TOKEN_TTL", "3600"),
        ("MAX_TOKENS", "4096"),
        ("MAX_TOKEN", "4096"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("REQUIRE_PASSWORD", "true"),
        ("TLS_PRIVATE_KEY", "/etc/tls/key.pem"),
        ("CACHE_KEY_PREFIX", "app:"),
        ("PARTITION_KEY", "tenant"),
        ("PWD", "/srv/app"),
        ("BYPASS", "health"),
        ("PROXY", "http://host:8080/a@b"),
        ("JAVA_OPTS", "-Djavax.net.ssl.trustStorePassword=changeit"),
    ],
)
def test_what_is_no_secret_is_left_alone(name: str, text: str) -> None:
    assert literal_secret(name, text) is None


@pytest.mark.parametrize(
    ("words", "variable"),
    [
        (("serve", "--db-password", "hunter2"), "DB_PASSWORD"),
        (("serve", "--db-password=hunter2"), "DB_PASSWORD"),
        (("redis-server", "--requirepass", "hunter2"), "REQUIREPASS"),
        (("serve", "--db", "postgres://app:hunter2@{db.address}/app"), "DB_PASSWORD"),
        (("serve", "postgres://app:hunter2@{db.address}/app"), "PASSWORD"),
        (("sh", "-c", "serve postgres://app:hunter2@h/app"), "PASSWORD"),
        (("serve", "--db-password", "${DB_PASSWORD}"), ""),
        (("serve", "--require-password", "--port", "{port}"), ""),
        (("serve", "--password-file", "secret"), ""),
        (("serve", "--token", "--verbose"), ""),
    ],
)
def test_a_secret_among_the_words_of_a_command(words: tuple[str, ...], variable: str) -> None:
    found = literal_in_words(words)
    assert (found.variable if found else "") == variable
    assert not found or "hunter" not in found.where


def test_a_long_value_takes_no_long_time() -> None:
    """Each pattern is bounded, so these end at once; without a bound each would take minutes."""
    for text in (
        "://" * 30_000,
        "a" * 90_000,
        "a=" * 40_000,
        "://" + "a" * 90_000,
        ";password" * 10_000,
        "{{" * 40_000,
    ):
        assert literal_secret("URL", text) is None or text.startswith("a=")
