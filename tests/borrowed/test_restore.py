"""What leads back from every state of a borrowed proxy, and what others did to it."""

from __future__ import annotations

from itertools import product

import pytest

from harness.toxiproxy.metrics import received_by_proxy
from harness.toxiproxy.restore import Step, by_hand, changes_by_others, steps_back
from harness.toxiproxy.state import Proxy, Toxic

OURS = "tailgate-20260101-120000-beef-"
OTHERS_RUN = "tailgate-20260101-120001-dead-"


def a_toxic(name: str, kind: str = "latency", **attributes: float) -> Toxic:
    return Toxic(name=name, type=kind, stream="downstream", toxicity=1.0, attributes=attributes)


THEIRS = a_toxic("theirs", latency=7)
SLOW = a_toxic(f"{OURS}slow.0.0", latency=60_000)
TRICKLE = a_toxic(f"{OURS}trickle.0.0", "bandwidth", rate=10)
RESET = a_toxic(f"{OURS}reset.0.0", "reset_peer", timeout=0)
MARK = a_toxic(f"{OURS}gone.0.off", latency=0)


def a_proxy(*toxics: Toxic, enabled: bool = True, listen: str = "127.0.0.1:1", upstream: str = "127.0.0.1:2") -> Proxy:
    return Proxy(name="legacy", listen=listen, upstream=upstream, enabled=enabled, toxics=toxics)


def done(proxy: Proxy, steps: tuple[Step, ...]) -> Proxy:
    """The proxy after the steps. No toxic that holds answers back may be removed while it is enabled."""
    enabled, toxics = proxy.enabled, list(proxy.toxics)
    relaxed: set[str] = set()
    waited = False
    for step in steps:
        match step.do:
            case "disable":
                enabled = False
            case "enable":
                enabled = True
            case "wait":
                assert not enabled
                waited = True
            case "relax":
                assert "bandwidth" not in {toxic.type for toxic in toxics if toxic.name == step.toxic}, "it may panic"
                relaxed.add(step.toxic)
            case "remove":
                (gone,) = [toxic for toxic in toxics if toxic.name == step.toxic]
                assert not enabled or gone.type == "reset_peer", "this may lock the server up"
                assert gone.type != "latency" or step.toxic in relaxed, "this may take 5 s for each piece"
                assert gone.type != "bandwidth" or waited, "this may lock the server up"
                toxics.remove(gone)
    return proxy.model_copy(update={"enabled": enabled, "toxics": tuple(toxics)})


def test_every_state_leads_back_to_what_it_was() -> None:
    for ours, theirs, down in product(
        [(), (SLOW,), (RESET,), (SLOW, RESET), (MARK,), (MARK, SLOW), (TRICKLE,), (SLOW, TRICKLE)],
        [(), (THEIRS,)],
        [False, True],
    ):
        now = a_proxy(*theirs, *ours, enabled=not down)
        steps = steps_back(now, OURS, disabled_by_us=down)
        assert done(now, steps) == a_proxy(*theirs)


def test_a_proxy_that_others_disabled_stays_disabled() -> None:
    for ours in [(), (SLOW,), (RESET,)]:
        now = a_proxy(THEIRS, *ours, enabled=False)
        after = done(now, steps_back(now, OURS, disabled_by_us=False))
        assert after == a_proxy(THEIRS, enabled=False)


def test_a_proxy_that_others_enabled_stays_enabled() -> None:
    now = a_proxy(THEIRS, MARK, enabled=True)
    assert done(now, steps_back(now, OURS, disabled_by_us=True)) == a_proxy(THEIRS)


def test_a_fault_that_keeps_it_down_keeps_it_down() -> None:
    now = a_proxy(THEIRS, SLOW, MARK, enabled=False)
    after = done(now, steps_back(now, f"{OURS}slow.0.", disabled_by_us=True, stays_down=True))
    assert after == a_proxy(THEIRS, MARK, enabled=False)


def test_only_what_bears_the_prefix_goes() -> None:
    other_window = a_toxic(f"{OURS}slow.1.0", "reset_peer")
    other_run = a_toxic(f"{OTHERS_RUN}slow.0.0", latency=1)
    now = a_proxy(THEIRS, SLOW, other_window, other_run)
    after = done(now, steps_back(now, f"{OURS}slow.0.", disabled_by_us=False))
    assert after.toxics == (THEIRS, other_window, other_run)


def test_nothing_is_done_to_a_proxy_that_is_gone_or_was_never_touched() -> None:
    assert steps_back(None, OURS, disabled_by_us=True) == ()
    assert steps_back(a_proxy(THEIRS), OURS, disabled_by_us=False) == ()


def test_a_toxic_of_an_unknown_type_is_taken_to_hold_answers_back() -> None:
    now = a_proxy(a_toxic(f"{OURS}x.0.0", "of-a-later-version"))
    assert [step.do for step in steps_back(now, OURS, disabled_by_us=False)] == ["disable", "remove", "enable"]


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (a_proxy(THEIRS, SLOW), []),
        (a_proxy(THEIRS, enabled=False), ["proxy legacy was disabled by another program"]),
        (a_proxy(THEIRS, a_toxic("new")), ["toxic new was added to proxy legacy"]),
        (a_proxy(a_toxic("theirs", latency=8)), ["toxic theirs on proxy legacy was changed"]),
        (a_proxy(THEIRS, listen="127.0.0.1:9"), ["proxy legacy listens on 127.0.0.1:9 and no longer 127.0.0.1:1"]),
        (a_proxy(THEIRS, upstream="127.0.0.1:9"), ["proxy legacy leads to 127.0.0.1:9 and no longer 127.0.0.1:2"]),
    ],
)
def test_what_others_did_is_said(now: Proxy, says: list[str]) -> None:
    assert list(changes_by_others(a_proxy(THEIRS), now, OURS, disabled_by_us=False)) == says


def test_a_restart_that_dropped_toxics_or_the_proxy_is_said_as_one_of_two_causes() -> None:
    (without_toxics,) = changes_by_others(a_proxy(THEIRS), a_proxy(), OURS, disabled_by_us=False)
    (gone,) = changes_by_others(a_proxy(THEIRS), None, OURS, disabled_by_us=False)
    assert without_toxics.endswith("the server was restarted, or they were removed")
    assert gone.endswith("the server was restarted without it, or the proxy was deleted")


def test_our_own_disabling_is_no_change_by_others() -> None:
    down = a_proxy(THEIRS, MARK, enabled=False)
    assert changes_by_others(a_proxy(THEIRS), down, OURS, disabled_by_us=True) == ()
    (said,) = changes_by_others(a_proxy(THEIRS), a_proxy(THEIRS, MARK), OURS, disabled_by_us=True)
    assert said == "proxy legacy was enabled by another program"
    assert changes_by_others(a_proxy(THEIRS), down, OURS, disabled_by_us=None) == ()


def test_the_calls_to_make_by_hand_are_quoted_and_end_nobodys_server() -> None:
    said = by_hand("http://h:8474", "legacy api", ["tailgate-x-slow.0.0"], is_disabled=True)
    assert "curl -X DELETE http://h:8474/proxies/legacy%20api/toxics/tailgate-x-slow.0.0" in said
    assert """curl -X POST http://h:8474/proxies/legacy%20api -d '{"enabled": true}'""" in said
    assert by_hand("http://h:8474", "legacy", [], is_disabled=False) == ""


def test_bytes_from_clients_are_read_by_proxy() -> None:
    name = "toxiproxy_proxy_received_bytes_total"
    text = "\n".join(
        (
            f"# TYPE {name} counter",
            f'{name}{{direction="upstream",listener="127.0.0.1:1",proxy="a",upstream="h:2"}} 1.5e+03',
            f'{name}{{direction="downstream",listener="127.0.0.1:1",proxy="a",upstream="h:2"}} 7',
            f'{name}{{direction="upstream",listener="127.0.0.1:3",proxy="b \\"c\\"",upstream="h:2"}} 20',
            f'{name}{{direction="upstream",proxy="d"}} NaN',
            "toxiproxy_proxy_sent_bytes_total{} 1",
        )
    )
    assert received_by_proxy(text) == {"a": 1500, 'b "c"': 20}
    assert received_by_proxy("404 page not found") == {}
