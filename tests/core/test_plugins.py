"""Validators of tailgate's own models are built without plugins; those of a user's locustfile are not."""

from __future__ import annotations

import sys

import pytest

from harness.model.plugins import LOADER, leave_out_plugins, plugins_left_out


@pytest.fixture(autouse=True)
def _no_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LOADER, None)  # so that what was there comes back
    del sys.modules[LOADER]


def test_plugins_are_left_out_for_a_while() -> None:
    with plugins_left_out():
        assert sys.modules[LOADER].get_plugins() == ()
    assert LOADER not in sys.modules, "pydantic looks for them the next time"


def test_what_stood_before_stays() -> None:
    leave_out_plugins()
    before = sys.modules[LOADER]
    with plugins_left_out():
        assert sys.modules[LOADER] is before
    assert sys.modules[LOADER] is before
