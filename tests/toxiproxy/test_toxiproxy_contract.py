"""The part of Toxiproxy's API that tailgate uses, against the real server. An embedded engine must pass it too."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from harness.rundir.planned.fault import PlannedToxic
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from tests.toxiproxy.world import free_port, latency, toxic

pytestmark = pytest.mark.stack

EVERY_TOXIC = (
    toxic("latency", latency=100, jitter=10),
    toxic("bandwidth", rate=64),
    toxic("slow_close", delay=100),
    toxic("timeout", timeout=0),
    toxic("reset_peer", timeout=0),
    toxic("slicer", average_size=100, size_variation=10, delay=1000),
    toxic("limit_data", bytes=1000),
)


@pytest.fixture
def proxy(toxiproxy: ToxiproxyClient) -> Iterator[str]:
    toxiproxy.create_proxy("p", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    yield "p"
    toxiproxy.delete_proxy("p")


def test_version_is_the_pinned_one_or_newer(toxiproxy: ToxiproxyClient) -> None:
    assert tuple(map(int, toxiproxy.version().split(".")[:2])) >= (2, 12)


def test_a_proxy_is_made_listens_and_goes(toxiproxy: ToxiproxyClient) -> None:
    port = free_port()
    made = toxiproxy.create_proxy("azure", f"127.0.0.1:{port}", "127.0.0.1:9")
    assert (made.listen, made.upstream, made.enabled, made.toxics) == (f"127.0.0.1:{port}", "127.0.0.1:9", True, ())
    assert toxiproxy.proxies() == {"azure": made}
    socket.create_connection(("127.0.0.1", port), 1).close()
    toxiproxy.delete_proxy("azure")
    assert toxiproxy.proxy("azure") is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_port_0_and_names_of_hosts_come_back_resolved(toxiproxy: ToxiproxyClient) -> None:
    made = toxiproxy.create_proxy("any", "localhost:0", "127.0.0.1:9")
    assert int(made.listen.rpartition(":")[2]) > 0
    toxiproxy.delete_proxy("any")


def test_a_name_with_signs_of_urls(toxiproxy: ToxiproxyClient) -> None:
    name = "a b?c#d%2F"
    toxiproxy.create_proxy(name, "127.0.0.1:0", "127.0.0.1:9")
    toxiproxy.add_toxic(name, name, latency())
    toxiproxy.set_enabled(name, False)
    toxiproxy.remove_toxic(name, name)
    toxiproxy.delete_proxy(name)


def test_a_name_taken_and_a_port_taken_are_errors(toxiproxy: ToxiproxyClient, proxy: str) -> None:
    with pytest.raises(ToxiproxyError, match="already exists") as taken:
        toxiproxy.create_proxy(proxy, "127.0.0.1:0", "127.0.0.1:9")
    assert taken.value.status == 409
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ToxiproxyError, match="address already in use"):
        toxiproxy.create_proxy("q", f"127.0.0.1:{other.getsockname()[1]}", "127.0.0.1:9")
    assert toxiproxy.proxy("q") is None


def test_disabling_closes_the_listener_and_keeps_the_toxics(toxiproxy: ToxiproxyClient, proxy: str) -> None:
    toxiproxy.add_toxic(proxy, "t", latency())
    toxiproxy.set_enabled(proxy, False)
    state = toxiproxy.proxy(proxy)
    assert state is not None
    assert (state.enabled, [each.name for each in state.toxics]) == (False, ["t"])
    host, _, port = state.listen.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 1)
    toxiproxy.set_enabled(proxy, True)
    socket.create_connection((host, int(port)), 1).close()


def test_a_disabled_proxy_takes_a_toxic_without_a_word(toxiproxy: ToxiproxyClient, proxy: str) -> None:
    # why `Hold.apply` looks at `enabled`: nothing else would tell
    toxiproxy.set_enabled(proxy, False)
    toxiproxy.add_toxic(proxy, "t", latency())


@pytest.mark.parametrize("stream", ["downstream", "upstream"])
@pytest.mark.parametrize("planned", EVERY_TOXIC, ids=lambda planned: planned.type)
def test_every_toxic_is_kept_as_it_was_told(
    toxiproxy: ToxiproxyClient, proxy: str, planned: PlannedToxic, stream: str
) -> None:
    asked = PlannedToxic.model_validate({**planned.model_dump(), "stream": stream, "toxicity": 0.123456789})
    toxiproxy.add_toxic(proxy, "t", asked)
    (kept,) = toxiproxy.toxics(proxy)
    assert kept.is_as(asked)
    toxiproxy.remove_toxic(proxy, "t")
    assert toxiproxy.toxics(proxy) == ()


@pytest.mark.parametrize(
    ("planned", "says"),
    [
        (toxic("nonsense"), "invalid toxic type"),
        (PlannedToxic.model_construct(type="latency", stream="sideways"), "stream was invalid"),  # type: ignore[arg-type]
    ],
)
def test_a_toxic_that_does_not_exist_is_an_error(
    toxiproxy: ToxiproxyClient, proxy: str, planned: PlannedToxic, says: str
) -> None:
    with pytest.raises(ToxiproxyError, match=says) as caught:
        toxiproxy.add_toxic(proxy, "t", planned)
    assert caught.value.status == 400


def test_what_is_not_there_cannot_be_changed(toxiproxy: ToxiproxyClient, proxy: str) -> None:
    for act in (
        lambda: toxiproxy.delete_proxy("nobody"),
        lambda: toxiproxy.set_enabled("nobody", True),
        lambda: toxiproxy.toxics("nobody"),
        lambda: toxiproxy.add_toxic("nobody", "t", latency()),
        lambda: toxiproxy.remove_toxic(proxy, "nothing"),
    ):
        with pytest.raises(ToxiproxyError, match="not found") as caught:
            act()
        assert caught.value.status == 404


def test_a_toxic_twice_is_an_error(toxiproxy: ToxiproxyClient, proxy: str) -> None:
    toxiproxy.add_toxic(proxy, "t", latency())
    with pytest.raises(ToxiproxyError, match="already exists"):
        toxiproxy.add_toxic(proxy, "t", latency())
