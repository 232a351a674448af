"""The client against servers that refuse, hang, drip and lie: whatever happens, an error says it, in time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from harness.errors import UsageError
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.world import free_port, latency

EVERY_CALL: dict[str, Callable[[ToxiproxyClient], object]] = {
    "version": lambda c: c.version(),
    "proxies": lambda c: c.proxies(),
    "proxy": lambda c: c.proxy("p"),
    "create_proxy": lambda c: c.create_proxy("p", "127.0.0.1:1", "127.0.0.1:2"),
    "delete_proxy": lambda c: c.delete_proxy("p"),
    "set_enabled": lambda c: c.set_enabled("p", False),
    "toxics": lambda c: c.toxics("p"),
    "add_toxic": lambda c: c.add_toxic("p", "t", latency()),
    "remove_toxic": lambda c: c.remove_toxic("p", "t"),
}
WRITES = ("create_proxy", "delete_proxy", "set_enabled", "add_toxic", "remove_toxic")

every_call = pytest.mark.parametrize("call", EVERY_CALL.values(), ids=EVERY_CALL)


@every_call
@pytest.mark.parametrize(("mood", "status"), [("error", 500), ("busy", 503)])
def test_an_error_status_is_raised_with_what_was_asked_and_answered(
    call: Callable[[ToxiproxyClient], object], mood: str, status: int
) -> None:
    with Pretender(mood) as server, pytest.raises(ToxiproxyError) as caught:
        call(ToxiproxyClient(server.url))
    assert caught.value.status == status
    assert server.asked[0].split()[1] in caught.value.message
    assert str(status) in caught.value.message


@every_call
@pytest.mark.parametrize("mood", ["hung", "dripping"])
def test_a_server_that_does_not_come_to_an_end_costs_the_timeout_and_no_more(
    call: Callable[[ToxiproxyClient], object], mood: str
) -> None:
    began_s = time.monotonic()
    with Pretender(mood) as server, pytest.raises(ToxiproxyError, match="not answered within"):
        call(ToxiproxyClient(server.url, timeout_s=0.15))
    assert time.monotonic() - began_s < 15, "it does not come to an end by itself"


@every_call
def test_a_server_that_is_gone_is_named_in_the_systems_own_words(call: Callable[[ToxiproxyClient], object]) -> None:
    with pytest.raises(ToxiproxyError, match="Connection refused"):
        call(ToxiproxyClient(f"http://127.0.0.1:{free_port()}"))


@every_call
def test_a_web_page_is_no_toxiproxy(call: Callable[[ToxiproxyClient], object]) -> None:
    with Pretender("nonsense") as server, pytest.raises(ToxiproxyError, match="It works!"):
        call(ToxiproxyClient(server.url))


@pytest.mark.parametrize("name", WRITES)
def test_a_server_that_says_done_and_does_nothing_is_caught_by_the_read_back(name: str) -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        if name != "create_proxy":
            client.create_proxy("p", "127.0.0.1:1", "127.0.0.1:2")
        if name == "remove_toxic":
            client.add_toxic("p", "t", latency())
        server.mood = "liar"
        with pytest.raises(ToxiproxyError, match="answered that it had"):
            EVERY_CALL[name](client)


def test_a_server_that_changes_what_it_was_told_is_caught() -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        client.create_proxy("p", "127.0.0.1:1", "127.0.0.1:2")
        server.proxies["p"]["toxics"].append({"name": "t", **latency(1).model_dump()})
        with pytest.raises(ToxiproxyError, match=r"60000.*its state shows.*1"):
            client.add_toxic("p", "t", latency(60_000))


def test_names_are_quoted_and_impossible_ones_refused_before_anything_is_asked() -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        client.create_proxy("a b?c#d", "127.0.0.1:1", "127.0.0.1:2")
        client.add_toxic("a b?c#d", "t %", latency())
        client.remove_toxic("a b?c#d", "t %")
        client.delete_proxy("a b?c#d")
        asked = len(server.asked)
        for name in ("", "a/b", ".."):
            with pytest.raises(ToxiproxyError, match="cannot be a name"):
                client.create_proxy(name, "127.0.0.1:1", "127.0.0.1:2")
        assert len(server.asked) == asked


def test_a_proxy_that_is_not_there_is_none() -> None:
    with Pretender() as server:
        assert ToxiproxyClient(server.url).proxy("nobody") is None


def test_two_clients_of_one_process_keep_apart() -> None:
    with Pretender() as one, Pretender() as two:
        first, second = ToxiproxyClient(one.url), ToxiproxyClient(two.url)
        first.create_proxy("p", "127.0.0.1:1", "127.0.0.1:2")
        assert list(first.proxies()) == ["p"]
        assert second.proxies() == {}


def test_the_token_is_sent_and_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with Pretender() as server:
        ToxiproxyClient(server.url, env={"TOXIPROXY_AUTH_TOKEN": "abc"}).version()
        ToxiproxyClient(server.url, env={}).version()
    assert [headers.get("Authorization") for headers in server.headers] == ["Bearer abc", None]


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8474", "https://127.0.0.1:8474", "http://", "http://h:99999", "http://h:1/path", ""]
)
def test_a_url_that_cannot_be_spoken_to_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        ToxiproxyClient(url)


def test_the_port_of_toxiproxy_is_the_default() -> None:
    assert ToxiproxyClient("http://localhost").url == "http://localhost:8474"
    assert ToxiproxyClient("http://[::1]:99/").url == "http://[::1]:99"
