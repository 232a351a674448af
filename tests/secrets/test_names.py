"""Names of secrets in every spelling that services use, and names that look like them and hold none."""

from __future__ import annotations

import pytest

from harness.secrets.names import holds_a_secret, is_named_like_a_secret

SECRETS = (
    "DB_PW", "DBPASS", "dbPass", "DBPassword", "DB_PASSWD", "FTP_PASSWD", "DB_PASSWORD", "DB_PASSWORD_2", "MYSQL_PWD",
    "PGPASS", "PGPASSWORD", "SSHPASS", "smtpPass", "ADMIN_PASSWORDS", "requirepass", "--db-pw",
    "STAYS_KEY", "STRIPE_KEY", "X_API_KEY", "X-Api-Key", "APIKEY", "API_KEY_1", "API_KEYS", "AccountKey", "HMAC_KEY",
    "LICENSE_KEY", "AZURE_STORAGE_KEY", "AWS_SECRET_ACCESS_KEY", "DJANGO_SECRET_KEY", "SECRET_KEY_BASE",
    "GCP_CREDENTIALS", "AWS_CREDS", "CLIENT_SECRET", "CLIENT_SECRETS", "GITHUB_TOKEN", "API_TOKENS", "SERVICE_JWT",
    "REDIS_AUTH", "Authorization", "Proxy-Authorization", "Cookie", "TLS_PASSPHRASE",
    "spring.datasource.password",
)  # fmt: skip
NO_SECRETS = (
    "KEYBOARD", "MONKEY", "HOTKEY", "TURKEY", "KEYSPACE", "PK", "KEY_COUNT", "KEY_PREFIX", "CACHE_KEY_PREFIX",
    "SORT_KEY", "sortKey", "PRIMARY_KEY", "PARTITION_KEY", "ROUTING_KEY", "IDEMPOTENCY_KEY", "CACHE_KEY", "FEATURE_KEY",
    "JWT_PUBLIC_KEY", "publicKey", "MAX_TOKENS", "MAX_TOKEN", "TOKEN_LIMIT", "TOKEN_TTL", "TOKENIZERS_PARALLELISM",
    "BYPASS", "COMPASS", "PASSENGERS", "PASSTHROUGH", "AUTHOR", "SPW", "JWKS_URL", "DSN", "HOME", "",
)  # fmt: skip
ONLY_NOT_SHOWN = (
    "PASSWORD_FILE", "AUTH_URL", "TOKEN_URL", "SECRETS_DIR", "KEY", "AWS_ACCESS_KEY_ID", "PIN", "PWD", "COOKIE_DOMAIN",
)  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_name_of_a_secret_is_known_by_both(name: str) -> None:
    assert holds_a_secret(name)
    assert is_named_like_a_secret(name)


@pytest.mark.parametrize("name", NO_SECRETS)
def test_a_name_that_only_looks_like_one_is_known_by_neither(name: str) -> None:
    assert not holds_a_secret(name)
    assert not is_named_like_a_secret(name)


@pytest.mark.parametrize("name", ONLY_NOT_SHOWN)
def test_what_may_be_a_secret_is_not_shown_and_not_refused(name: str) -> None:
    assert not holds_a_secret(name)
    assert is_named_like_a_secret(name)


def test_a_long_name_takes_no_long_time() -> None:
    for text in ("a_" * 100_000, "_key" * 50_000, "aA" * 50_000, "token_" * 50_000, "a" * 200_000):
        holds_a_secret(text)
        is_named_like_a_secret(text)
