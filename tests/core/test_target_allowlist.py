from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.target_allowlist import is_loopback, refuse_foreign_targets


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid", "", "127.0.0.1.invalid"]
)
def test_everything_else(host: str) -> None:
    assert not is_loopback(host)


def test_a_foreign_target_needs_its_name() -> None:
    urls = ["http://127.0.0.1:8000", "http://192.0.2.7:80/x"]
    with pytest.raises(UsageError, match=r"send load to 192\.0\.2\.7") as caught:
        refuse_foreign_targets(urls, ["192.0.2.8"])
    assert caught.value.fix.endswith("--allow-target 192.0.2.7")
    refuse_foreign_targets(urls, ["192.0.2.7"])
