"""On the real server: a fault that lets answers trickle is removed at once, although callers break off all the time."""

from __future__ import annotations

import time

import pytest

from harness.rundir.planned.fault import PlannedToxic
from harness.stack.injection.proxy import ProxyFaultHandle
from harness.toxiproxy.client import ToxiproxyClient
from tests.toxiproxy.breaking_off import callers, origin
from tests.toxiproxy.world import fault, free_port, latency, plan, toxic, upstream

pytestmark = pytest.mark.stack
TRICKLING = {
    "bandwidth": toxic("bandwidth", rate=10),
    "slicer": toxic("slicer", average_size=1_000, delay=100_000),
}
SHORT = latency(5)


@pytest.mark.parametrize("kind", TRICKLING)
@pytest.mark.parametrize("beside", [None, SHORT], ids=["alone", "beside a delay"])
def test_it_is_removed_at_once(toxiproxy: ToxiproxyClient, kind: str, beside: PlannedToxic | None) -> None:
    with origin() as port:
        up = upstream("azure", 0, backend_port=port)
        trickle = fault(TRICKLING[kind], name="trickle")
        the_plan = plan(trickle, upstreams=(up,))
        proxy = the_plan.proxy_name("azure")
        toxiproxy.create_proxy(proxy, f"127.0.0.1:{up.listener.port}", f"127.0.0.1:{port}")
        handles = [ProxyFaultHandle.of(toxiproxy, the_plan, trickle, 0, "azure")]
        if beside:
            handles.append(ProxyFaultHandle.of(toxiproxy, the_plan, fault(beside, name="slow"), 0, "azure"))
        for handle in handles:
            handle.apply(disabled_by_other=False)
        with callers(up.listener.port):
            time.sleep(0.6)
            begin = time.monotonic()
            handles[0].remove(disabled_by_other=False)
            assert time.monotonic() - begin < 10
        handles[0].verify_removed(disabled_by_other=False)
        for other in handles[1:]:
            other.verify_active(disabled_by_other=False)
        toxiproxy.delete_proxy(proxy)


def test_a_proxy_may_be_created_disabled(toxiproxy: ToxiproxyClient) -> None:
    made = toxiproxy.create_proxy("made", f"127.0.0.1:{free_port()}", "127.0.0.1:9", enabled=False)
    toxiproxy.delete_proxy("made")
    assert not made.enabled
