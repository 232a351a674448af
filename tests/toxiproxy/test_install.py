"""The installation, with a `go` of the test's own: what it is told, and what is said when it fails.

That the real Go builds the real server is shown by `make test` itself, which installs it.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.errors import RigError
from harness.toxiproxy.find import VERSION, installed_path
from harness.toxiproxy.install import checked_environment, install, usable_go
from harness.toxiproxy.step import run_step

GO = """#!/bin/sh
echo "$@" >> "$GO_LOG"
case "$1" in
version) echo "go version go${GO_SAYS:-1.24.1} linux/amd64" ;;
env) echo "{\\"GOPROXY\\": \\"${GOPROXY:-a-mirror}\\", \\"GOSUMDB\\": \\"${GOSUMDB:-a-database}\\"}" ;;
install)
    env > "$GO_LOG.env"
    echo "go: downloading example v1.0.0" >&2
    [ -n "$GO_FAILS" ] && { echo "$GO_FAILS" >&2; exit 1; }
    mkdir -p "$GOBIN"
    printf '#!/bin/sh\\necho toxiproxy-server version %s\\n' "${GO_BUILDS:-2.12.0}" > "$GOBIN/server"
    chmod +x "$GOBIN/server" ;;
esac
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    path = f"{go.parent}{os.pathsep}{os.defpath}"
    return {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache"), "GO_LOG": str(tmp_path / "go.log")}


def said_by_go(env: dict[str, str]) -> dict[str, str]:
    lines = Path(env["GO_LOG"] + ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_the_server_is_built_in_its_pinned_version_and_put_into_place(env: dict[str, str]) -> None:
    said: list[str] = []
    installed = install(said.append, env)
    assert installed.built
    assert installed.path == installed_path(env)
    assert installed.path.stat().st_mode & stat.S_IXUSR
    asked = Path(env["GO_LOG"]).read_text().splitlines()[-1]
    assert asked.endswith(f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}")
    assert f"-X github.com/Shopify/toxiproxy/v2.Version={VERSION}" in asked
    assert any(line.startswith("building Toxiproxy 2.12.0") for line in said)
    assert "downloading example v1.0.0" in said
    assert [each.name for each in installed.path.parent.iterdir()] == ["toxiproxy-server"]


def test_once_installed_nothing_is_built_again_unless_it_is_broken(env: dict[str, str]) -> None:
    install(lambda _: None, env)
    Path(env["GO_LOG"]).unlink()
    assert not install(lambda _: None, env).built
    assert not Path(env["GO_LOG"]).exists()
    installed_path(env).write_text("#!/bin/sh\nexit 1\n")
    said: list[str] = []
    assert install(said.append, env).built
    assert said[0].endswith("building it anew")


def test_checksums_cannot_be_switched_off_and_the_proxy_stays(env: dict[str, str]) -> None:
    hostile = {
        **env,
        "GOFLAGS": "-mod=mod -insecure",
        "GONOSUMDB": "*",
        "GONOSUMCHECK": "1",
        "GOPRIVATE": "*",
        "GOINSECURE": "*",
        "GOPROXY": "the-mirror-here",
        "GOSUMDB": "off",
        "GOOS": "plan9",
    }
    install(lambda _: None, hostile)
    told = said_by_go(env)
    assert not {"GOFLAGS", "GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GOINSECURE", "GOOS", "GOSUMDB"} & told.keys()
    assert told["GOPROXY"] == "the-mirror-here"
    assert told["GOENV"] == "off"


def test_a_database_of_ones_own_is_kept(env: dict[str, str]) -> None:
    go = usable_go(env)
    assert go
    assert checked_environment(go, {**env, "GOSUMDB": "ours"})["GOSUMDB"] == "ours"


def test_a_go_whose_own_default_is_off_builds_nothing(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin" / "go").write_text(GO.replace("a-database", "off"))
    with pytest.raises(RigError, match="checksum database switched off"):
        install(lambda _: None, env)


@pytest.mark.parametrize(
    ("says", "usable"), [("1.22.9", False), ("1.23", True), ("1.23rc1", True), ("2.0", True), ("X", False)]
)
def test_a_go_must_be_new_enough(env: dict[str, str], says: str, usable: bool) -> None:
    assert (usable_go({**env, "GO_SAYS": says}) is not None) is usable
    assert usable_go({"PATH": "/nowhere"}) is None


@pytest.mark.parametrize(
    ("fails", "fix"),
    [
        ("dial tcp: lookup mirror: no such host", "GOPROXY"),
        ("verifying module: checksum mismatch SECURITY ERROR", "do not use"),
        ("write /tmp/x: no space left on device", "free some disk"),
    ],
)
def test_a_build_that_fails_shows_what_go_said_and_the_way_out(env: dict[str, str], fails: str, fix: str) -> None:
    with pytest.raises(RigError) as caught:
        install(lambda _: None, {**env, "GO_FAILS": fails})
    assert fails in caught.value.message
    assert fix in caught.value.fix
    assert list(installed_path(env).parent.iterdir()) == []


def test_a_server_of_another_version_is_not_put_into_place(env: dict[str, str]) -> None:
    with pytest.raises(RigError, match=r"says it is 9\.9\.9"):
        install(lambda _: None, {**env, "GO_BUILDS": "9.9.9"})
    assert not installed_path(env).exists()


def test_a_cache_that_cannot_be_written_says_so(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RigError, match="cannot write to") as caught:
        install(lambda _: None, env)
    assert "XDG_CACHE_HOME" in caught.value.fix


def test_a_step_is_bounded_with_all_its_children() -> None:
    heard: list[str] = []
    forks = "import os, subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); os.wait()"
    began_s = time.monotonic()
    with pytest.raises(RigError, match=r"took longer than 3 s"):
        run_step([sys.executable, "-c", forks], os.environ, 3.0, heard.append)
    assert time.monotonic() - began_s < 30
    assert _is_gone_within(int(heard[0]), 20)


def _is_gone_within(pid: int, within_s: float) -> bool:
    """A killed process dies when the kernel next runs it, and stays a zombie where nobody reaps it."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        try:
            if psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(RigError, match="cannot be started"):
        run_step(["/nowhere/go"], {}, 1, lambda _: None)
