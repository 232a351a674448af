"""nginx where it is found, else a deadline of the load generator's; demanded and missing is an error with a fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RigError
from harness.scenario.planning import gateway_choice
from harness.scenario.planning.gateway_choice import ResolvedGateway, resolve_gateway


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gateway_choice, "DEBIANS", str(tmp_path / "sbin" / "nginx"))
    monkeypatch.setattr(gateway_choice, "_wheels", lambda: None)
    return tmp_path


def executable(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_without_nginx(bare_machine: Path) -> None:
    assert resolve_gateway("auto") == ResolvedGateway("client")
    with pytest.raises(RigError) as caught:
        resolve_gateway("nginx")
    assert "tailgate[nginx]" in caught.value.fix


def test_path_goes_before_debians_place_goes_before_the_wheel(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = executable(bare_machine / "wheel" / "nginx")
    monkeypatch.setattr(gateway_choice, "_wheels", lambda: wheel)
    assert resolve_gateway("auto") == ResolvedGateway("nginx", wheel)
    debians = executable(bare_machine / "sbin" / "nginx")
    assert resolve_gateway("auto") == ResolvedGateway("nginx", debians)
    on_path = executable(bare_machine / "nginx")
    assert resolve_gateway("nginx") == ResolvedGateway("nginx", on_path)


def test_what_is_not_executable_is_not_nginx(bare_machine: Path) -> None:
    Path(executable(bare_machine / "sbin" / "nginx")).chmod(0o644)
    assert resolve_gateway("auto").kind == "client"


@pytest.mark.parametrize("kind", ["client", "external", "none"])
def test_the_others_are_as_written(bare_machine: Path, kind: str) -> None:
    assert resolve_gateway(kind).kind == kind  # type: ignore[arg-type]
