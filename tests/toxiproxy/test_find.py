"""In which order a Toxiproxy is looked for, and what is said where none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RigError, UsageError
from harness.toxiproxy.find import NONE, VERSION, EngineChoice, binary_version, find_engine, installed_path
from tests.toxiproxy.pretender import Pretender


def server_at(path: Path, says: str = "toxiproxy-server version 2.12.0", code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty PATH and an empty cache."""
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_the_order_is_variable_scenario_path_installed(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RigError, match="no Toxiproxy found") as caught:
        find_engine(None, env)
    assert "tailgate toxiproxy install" in caught.value.fix

    installed = server_at(installed_path(env))
    assert find_engine(None, env) == EngineChoice("real", "installed", "2.12.0", path=installed)

    on_path = server_at(tmp_path / "bin" / "toxiproxy-server", "toxiproxy-server version git-1.2.3-dirty")
    assert find_engine(None, env) == EngineChoice("real", "PATH", "git-1.2.3-dirty", path=on_path)

    with Pretender() as theirs, Pretender() as ours:
        assert find_engine(theirs.url, env) == EngineChoice("real", "scenario", "2.12.0", url=theirs.url)
        env["TOXIPROXY_URL"] = ours.url + "/"
        assert find_engine(theirs.url, env) == EngineChoice("real", "TOXIPROXY_URL", "2.12.0", url=ours.url)


def test_a_server_that_was_named_and_does_not_answer_is_an_error_and_not_passed_over(env: dict[str, str]) -> None:
    server_at(installed_path(env))
    with Pretender("nonsense") as server, pytest.raises(RigError, match="not a Toxiproxy"):
        find_engine(None, {**env, "TOXIPROXY_URL": server.url})
    with pytest.raises(UsageError, match="`localhost` is not the address"):
        find_engine(None, {**env, "TOXIPROXY_URL": "localhost"})


def test_the_cache_is_where_the_system_says() -> None:
    tail = f"tailgate/toxiproxy-{VERSION}/toxiproxy-server"
    assert installed_path({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c") / tail
    assert installed_path({"HOME": "/h"}) == Path("/h/.cache") / tail


@pytest.mark.parametrize(("says", "code"), [("hello", 0), ("version 2.12.0", 1)])
def test_a_binary_that_is_something_else_is_refused(tmp_path: Path, says: str, code: int) -> None:
    with pytest.raises(RigError, match="does not answer as a Toxiproxy server would"):
        binary_version(server_at(tmp_path / "it", says, code))


def test_a_binary_that_does_not_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"\x7fELF rubbish")
    with pytest.raises(RigError, match="does not run"):
        binary_version(tmp_path / "it")


def test_what_the_manifest_says_of_a_choice() -> None:
    started = EngineChoice("real", "PATH", "2.12.0", path=Path("/x")).engine("http://127.0.0.1:20000")
    assert (started.kind, started.source, started.version, started.url) == (
        "real",
        "PATH",
        "2.12.0",
        "http://127.0.0.1:20000",
    )
    assert NONE.engine().model_dump() == {"kind": "none", "version": None, "source": None, "url": None}
