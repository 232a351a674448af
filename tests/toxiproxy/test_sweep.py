"""What dead runs left is taken away, and nothing else; the commands around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.toxiproxy import toxiproxy_command
from harness.errors import RigError, UsageError
from harness.stack import leftovers
from harness.toxiproxy.client import ToxiproxyClient, ToxiproxyError
from harness.toxiproxy.serve import check_config
from harness.toxiproxy.sweep import Found, sweep
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
            Found(DEAD, f"tailgate-{DEAD}-azure"),
            Found(DEAD, "theirs", f"tailgate-{DEAD}-slow-0-0"),
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


def test_the_command_names_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "members", list)
    monkeypatch.setattr(leftovers, "sweep", lambda: leftovers.Swept((), ()))
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
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
        client, end = ToxiproxyClient(f"http://127.0.0.1:{port}"), time.monotonic() + 10
        while True:
            try:
                assert list(client.proxies()) == ["db"]
                break
            except RigError:
                assert time.monotonic() < end
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait(5)
