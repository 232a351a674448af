from __future__ import annotations

import os
import signal

import pytest

from harness.errors import Interrupted
from harness.run.signals import Stopper


@pytest.fixture(autouse=True)
def _usual_handlers() -> None:
    """Whoever runs the tests may have started us in the background, deaf to Ctrl-C, or by nohup."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_nothing_raised(number: signal.Signals) -> None:
    with Stopper() as stopper:
        stopper.check()
        os.kill(os.getpid(), number)
        assert stopper.asked
        assert not stopper.impatient
        with pytest.raises(Interrupted):
            stopper.check()
        os.kill(os.getpid(), number)
        assert stopper.impatient


def test_the_former_handlers_come_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with Stopper():
        assert signal.getsignal(signal.SIGINT) != before[signal.SIGINT]
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_run_started_by_nohup_outlives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stopper() as stopper:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stopper.asked
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
