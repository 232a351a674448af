"""Real runs of a service that leaks: no byte of any file of the run, and none that was printed, holds a secret."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.text import is_sanitized
from tests.run.real_runs import TAILGATE, Ran, Running, assert_failed, assert_nothing_left, run

pytestmark = pytest.mark.stack

SERVICE = Path(__file__).parent / "leaky_service.py"
SECRETS = {
    "TG_TOKEN": "tok-9f8e7d6c5b4a",
    "TG_PASSWORD": "p@ss/w:rd +%&\"'\\",
    "TG_KEY": "key-31415926",
    "TG_BODY": "body-27182818",
    "TG_PIN": "8642",
}
SCENARIO = """\
name: leaky
service:
  command: [{python}, {service}, "{{port}}", {way}]
  env: {{LEAK_A: "${{TG_PASSWORD}}", LEAK_B: "${{TG_TOKEN}}", LEAK_C: "${{TG_PIN}}"}}
  headers: {{Authorization: "Bearer ${{TG_TOKEN}}"}}
gateway: {{timeout: 2s}}
load:
  rate: 60/s
  warmup: 300ms
  duration: 3s
  drain: 500ms
  {load}
gates: [errors < 50%]
verdict: {{clump: 5ms}}
"""
REQUEST = "request: {request: 'POST /x?key=${TG_KEY}', body: 'card ${TG_BODY}', headers: {X-Pin: '${TG_PIN}'}}"


def scenario(way: str, load: str = REQUEST) -> str:
    return SCENARIO.format(python=sys.executable, service=SERVICE, way=way, load=load)


def spelled(secret: str) -> set[bytes]:
    pair = base64.b64encode(b"user:" + secret.encode())[8:-4]
    found = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return {text.encode() for text in found} | ({pair} if len(pair) > 7 else set())


def assert_kept(ran: Ran, folder: Path) -> None:
    """No secret in any file below the folder, nor in what was printed, and nothing there that acts."""
    forms = {form for name, secret in SECRETS.items() if name != "TG_PIN" for form in spelled(secret)}
    pin = re.compile(rb"(?<![A-Za-z0-9_])8642(?![A-Za-z0-9_])")
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "scenario.yaml"]
    assert len(files) > 4
    texts = {str(path): path.read_bytes() for path in files}
    for name, content in {**texts, "stdout": ran.stdout.encode(), "stderr": ran.stderr.encode()}.items():
        found = [form for form in forms if form in content]
        assert not found, (name, found)
        if not name.endswith(".bin"):
            assert not pin.search(content), name
    for shown in (ran.stdout, ran.stderr):
        assert is_sanitized(shown)
        assert not re.search(r"^\s*::|^PASS\b(?! leaky)", shown, re.MULTILINE)


def test_a_run_to_its_end(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("stays"), env=SECRETS)
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stderr
    assert ran.run_dir is not None
    assert_kept(ran, ran.run_dir)
    log = (ran.run_dir / "logs" / "sut.log").read_bytes()
    assert b"connecting to postgres://app:***" in log, "the rest of the log is as it was"
    assert b"/x?key=***" in (ran.run_dir / "gateway.ndjson").read_bytes() or "client" in ran.stderr
    assert b"${TG_TOKEN}" in (ran.run_dir / "plan.json").read_bytes()


def test_a_service_that_dies_with_a_secret_on_its_lips(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("dies"), env=SECRETS)
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stderr
    assert ran.run_dir is not None
    assert_kept(ran, ran.run_dir)
    assert "bad password ***" in ran.stderr
    assert "\\x1b]52" in ran.stderr


def test_a_service_that_never_gets_ready(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("never"), env=SECRETS)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stderr
    assert ran.run_dir is not None
    assert_kept(ran, ran.run_dir)
    assert "cannot log in with ***" in ran.stdout


def test_a_locustfile_that_raises_it(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(
        "import os\nfrom locust import FastHttpUser, task\n\n"
        "class Asks(FastHttpUser):\n    @task\n    def ask(self):\n        self.client.get('/x')\n"
        "        raise ValueError('cannot use ' + os.environ['TG_TOKEN'])\n"
    )
    ran = run(tmp_path, scenario("stays", "locustfile: users.py"), env=SECRETS)
    assert_failed(ran)
    assert ran.run_dir is not None
    assert_kept(ran, ran.run_dir)
    assert b"cannot use ****" in (ran.run_dir / "logs" / "locust-0.log").read_bytes()


def test_twenty_megabytes_in_one_line_are_kept_without_it(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("floods"), env=SECRETS)
    assert ran.code == 0, ran.stderr
    assert ran.run_dir is not None
    assert_kept(ran, ran.run_dir)
    assert (ran.run_dir / "logs" / "sut.log").stat().st_size > 20_000_000, "a service's own log is kept whole"
    assert len(ran.stdout) + len(ran.stderr) < 20_000


@pytest.mark.parametrize("victim", ["harness.stack.supervisor.supervisor", "tailgate"])
def test_whoever_is_killed(victim: str, tmp_path: Path) -> None:
    running = Running(tmp_path, scenario("stays"), env=SECRETS)
    run_dir = running.wait_for(_leaked)
    pid = running.process.pid if victim == "tailgate" else running.child(victim).pid
    os.kill(pid, signal.SIGKILL)
    ran = running.end()
    assert ran.code == (-signal.SIGKILL if victim == "tailgate" else 4)
    assert_nothing_left(run_dir)
    assert_kept(ran, run_dir)


def _leaked(run_dir: Path) -> bool:
    """While the run is on, the service's log holds what it wrote there."""
    log = run_dir / "logs" / "sut.log"
    return log.exists() and SECRETS["TG_TOKEN"].encode() in log.read_bytes()


@pytest.mark.alone  # any other run that starts meanwhile would sweep the rest first
def test_a_run_that_was_killed_whole_is_swept_of_them(tmp_path: Path) -> None:
    running = Running(tmp_path, scenario("stays"), env=SECRETS)
    run_dir = running.wait_for(_leaked)
    supervisor = running.child("harness.stack.supervisor.supervisor")
    os.kill(supervisor.pid, signal.SIGSTOP)  # so that it cannot begin to tidy up
    os.kill(running.process.pid, signal.SIGKILL)
    os.kill(supervisor.pid, signal.SIGKILL)
    running.end()
    assert _leaked(run_dir), "nobody was left who could take it out"
    words = [TAILGATE, "toxiproxy", "sweep"]
    swept = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, **SECRETS}, capture_output=True, text=True, check=True
    )
    assert "cut short" in swept.stdout
    assert_kept(Ran(0, swept.stdout, swept.stderr, run_dir), run_dir)
