"""What dead runs left is taken away, and nothing else; the commands around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import target_allowlist
from harness.cli.toxiproxy import toxiproxy_command
from harness.errors import RigError, UsageError
from harness.run.calibration import SCRATCH
from harness.rundir.manifest import Manifest, RunEnd, ToxiproxyInfo
from harness.stack.processes import orphans
from harness.temp_dirs import temp_dir
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from harness.toxiproxy.find import installed_path
from harness.toxiproxy.install import BUILDING
from harness.toxiproxy.serve import check_config
from harness.toxiproxy.sweep import Leftover, sweep
from tests.toxiproxy.pretender import Pretender
from tests.toxiproxy.world import free_port, latency

DEAD = "20260101-120000-dead"
ALIVE = "20260101-120001-beef"


def litter(client: ToxiproxyClient) -> None:
    for run in (DEAD, ALIVE):
        client.create_proxy(f"tailgate-{run}-azure", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
        client.add_toxic(f"tailgate-{run}-azure", f"tailgate-{run}-slow-0-0", latency())
    client.create_proxy("theirs", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    client.set_enabled("theirs", False)
    for toxic in (f"tailgate-{DEAD}-slow-0-0", f"tailgate-{ALIVE}-slow-0-0", "their-own", "tailgate-not-a-run"):
        client.add_toxic("theirs", toxic, latency())


def check_swept(client: ToxiproxyClient) -> None:
    proxies = client.proxies()
    assert set(proxies) == {f"tailgate-{ALIVE}-azure", "theirs"}
    assert len(proxies[f"tailgate-{ALIVE}-azure"].toxics) == 1
    assert {toxic.name for toxic in proxies["theirs"].toxics} == {
        f"tailgate-{ALIVE}-slow-0-0",
        "their-own",
        "tailgate-not-a-run",
    }
    assert not proxies["theirs"].enabled


def test_only_what_dead_runs_left_goes() -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        litter(client)
        swept = sweep(client, {ALIVE})
        assert set(swept.removed) == {
            Leftover(DEAD, f"tailgate-{DEAD}-azure"),
            Leftover(DEAD, "theirs", f"tailgate-{DEAD}-slow-0-0"),
        }
        assert len(swept.spared) == 2
        check_swept(client)
        assert sweep(client, {ALIVE}).removed == ()


@pytest.mark.stack
def test_on_the_real_server(toxiproxy: ToxiproxyClient) -> None:
    litter(toxiproxy)
    sweep(toxiproxy, {ALIVE})
    check_swept(toxiproxy)
    for name in toxiproxy.proxies():
        toxiproxy.delete_proxy(name)


@pytest.mark.parametrize("mood", ["liar", "error"])
def test_a_server_that_keeps_them_is_an_error(mood: str) -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        litter(client)
        server.mood = mood
        with pytest.raises(ToxiproxyError):
            sweep(client, set())


def test_runs_that_were_not_chosen_stay() -> None:
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        litter(client)
        before = client.proxies()
        assert sweep(client, set(), chosen=()).removed == ()
        assert client.proxies() == before
        assert {found.run_id for found in sweep(client, {ALIVE}, chosen={DEAD, ALIVE}).removed} == {DEAD}
        check_swept(client)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing runs: its cache, temporary files and working folder are below the path."""
    for name in ("cache", "tmp", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(orphans, "members", list)
    monkeypatch.setattr(orphans, "sweep", lambda: orphans.CleanupReport((), ()))
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def swept(*words: str) -> list[str]:
    """What the command says."""
    done = CliRunner().invoke(toxiproxy_command, ["sweep", *words], catch_exceptions=False)
    return done.output.splitlines()


def test_on_the_server_of_another_machine_only_what_is_named_goes(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_allowlist, "is_loopback", lambda _: False)
    with Pretender() as server:
        client = ToxiproxyClient(server.url)
        litter(client)
        before = client.proxies()
        lines = swept("--url", server.url)
        assert client.proxies() == before
        hint = f"left alone, its run may live on another machine: proxy tailgate-{DEAD}-azure (--run {DEAD} removes it)"
        assert hint in lines
        assert len(lines) == 4
        assert f"removed proxy tailgate-{DEAD}-azure" in swept("--url", server.url, "--run", DEAD)
        check_swept(client)


def test_half_built_servers_and_doctors_folders_go_unless_somebody_works_in_them(alone: Path) -> None:
    cache = installed_path().parent
    cache.mkdir(parents=True)
    (cache / "toxiproxy-server").write_text("a server")
    (cache / f"{BUILDING}dead" / "gopath").mkdir(parents=True)
    (alone / "tmp" / f"{SCRATCH}dead").mkdir()
    (alone / "tmp" / "somebody-elses").mkdir()
    with temp_dir(BUILDING, cache) as building, temp_dir(SCRATCH) as measuring:
        dead = [cache / f"{BUILDING}dead", alone / "tmp" / f"{SCRATCH}dead"]
        assert swept() == [f"removed {path}" for path in dead]
        assert building.is_dir() and measuring.is_dir()
    assert swept() == ["nothing of a dead run is left"]
    assert [path.name for path in cache.iterdir()] == ["toxiproxy-server"]
    assert [path.name for path in (alone / "tmp").iterdir()] == ["somebody-elses"]


def test_runs_that_were_cut_short_are_named_and_kept(alone: Path) -> None:
    def lay_out(run_id: str, ended: RunEnd | None) -> Path:
        run_dir = Path(".runs") / "ladder" / run_id
        (run_dir / "control").mkdir(parents=True)
        Manifest(
            run_id=run_id, tool_version="1", started_at="2026-01-01T00:00:00Z", boot_id="b", wall_offset_ns=0,
            engine=ToxiproxyInfo(kind="none"), ended=ended,
        ).write(run_dir)  # fmt: skip
        return run_dir

    done, cut = lay_out(ALIVE, RunEnd(reason="done")), lay_out(DEAD, None)
    assert swept() == [f"cut short: {cut}; `tailgate judge {cut}` says what it shows"]
    assert (cut / "manifest.json").exists()
    assert not (cut / "control").exists()
    assert (done / "control").exists()


def test_what_was_done_is_told_before_a_server_fails(alone: Path) -> None:
    (alone / "tmp" / f"{SCRATCH}dead").mkdir()
    done = CliRunner().invoke(toxiproxy_command, ["sweep", "--url", f"http://127.0.0.1:{free_port()}"])
    assert isinstance(done.exception, ToxiproxyError)
    assert done.output == f"removed {alone / 'tmp' / (SCRATCH + 'dead')}\n"


@pytest.mark.usefixtures("alone")
def test_the_command_names_what_it_did() -> None:
    with Pretender() as server:
        litter(ToxiproxyClient(server.url))
        done = CliRunner().invoke(toxiproxy_command, ["sweep", "--url", server.url], catch_exceptions=False)
        assert f"removed proxy tailgate-{DEAD}-azure\n" in done.output
        assert f"removed toxic tailgate-{ALIVE}-slow-0-0 on proxy theirs\n" in done.output
        again = CliRunner().invoke(toxiproxy_command, ["sweep"], env={"TOXIPROXY_URL": server.url})
        assert again.output == "nothing of a dead run is left\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ('{"name": "a"}', "is not an array"),
        ('[{"name": "a", "upstream": "b:1"}, {"name": "b"}]', "proxy 1 has no upstream"),
        ("[1]", "proxy 0 has no name and no upstream"),
    ],
)
def test_a_config_that_the_server_would_pass_over_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    config = tmp_path / "proxies.json"
    if content is not None:
        config.write_text(content)
    with pytest.raises(UsageError, match=says):
        check_config(config)


@pytest.mark.stack
def test_serve_is_the_server_itself_and_ends_with_its_signal(tmp_path: Path, toxiproxy_binary: Path) -> None:
    config = tmp_path / "proxies.json"
    config.write_text(json.dumps([{"name": "db", "listen": f"127.0.0.1:{free_port()}", "upstream": "127.0.0.1:9"}]))
    port = free_port()
    tailgate = [sys.executable, "-c", "from harness.cli import main; main()"]
    argv = [*tailgate, "toxiproxy", "serve", "--config", str(config), "--port", str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env={**os.environ, "LOG_LEVEL": "error"})
    try:
        client, end = ToxiproxyClient(f"http://127.0.0.1:{port}"), time.monotonic() + 40
        while True:
            try:
                assert list(client.proxies()) == ["db"]
                break
            except RigError:
                assert time.monotonic() < end
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
