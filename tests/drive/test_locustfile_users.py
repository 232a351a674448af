"""The users of a locustfile, and whom they ask: how many there are, what they wait for, their headers and options."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from harness.rundir.locustfile.request_names import read_names
from harness.rundir.rows import Outcome
from tests.drive.drive_world import Answer, StubServer, Worker, get, run
from tests.drive.user_files import MS, NIGHTLY, closed, line_of, notes, outcomes, planned, refused

pytestmark = [pytest.mark.stack, pytest.mark.beside]


def test_think_time_is_latency_of_the_first_request_of_a_task_only_and_never_lag(tmp_path: Path) -> None:
    text = """
    class Visitor(FastHttpUser):
        wait_time = constant(0.4)

        @task
        def get(self):
            self.wait()
            self.client.get("/a")
            time.sleep(0.4)
            self.client.get("/b")
    """
    with StubServer() as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, duration_ms=300.0), tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}
    first, second = (rows[rows["part"] == part] for part in (0, 1))
    lag_ns = first["sent_ns"] - first["intended_ns"] - first["waited_us"].astype("i8") * 1000
    assert ((first["done_ns"] - first["intended_ns"]) >= 400 * MS).all()
    assert (first["waited_us"] >= 399_000).all()
    assert (lag_ns < first["sent_ns"] - first["intended_ns"]).all()
    assert (second["intended_ns"] == second["sent_ns"]).all()
    assert (second["sent_ns"] - first["done_ns"] >= 399 * MS).all()
    assert np.median(second["done_ns"] - second["intended_ns"]) < 300 * MS, "the user's own wait is no latency"


def test_no_more_users_than_max_users_and_arrivals_wait_for_one(tmp_path: Path) -> None:
    """Three accounts, one for each user."""
    text = """
    accounts = queue.SimpleQueue()
    for name in ("ann", "bob", "cem"):
        accounts.put(name)

    class Customer(FastHttpUser):
        def on_start(self):
            self.account = accounts.get_nowait()

        @task
        def get(self):
            self.client.get(f"/{self.account}", name="get")
    """
    with StubServer(lambda asked: Answer(hold_s=0.3)) as stub:
        plan = planned(tmp_path, stub.url, text, duration_ms=600.0, max_users=3, client_cap_ms=10_000.0)
        rows, _ = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}
    assert {asked.path for asked in stub.asked} == {"/ann", "/bob", "/cem"}
    rows = rows[rows["seq"].argsort()]
    assert rows["waited_us"][:3].max() < rows["waited_us"][3:].min()
    assert (rows["sent_ns"][3:] - rows["intended_ns"][3:] > 100 * MS).all()


@NIGHTLY
def test_a_user_that_stops_as_it_starts_sends_nothing(tmp_path: Path) -> None:
    """By day the task that raises StopUser stands for it."""
    text = """
    accounts = ["ann", "bob", "cem"]

    class Customer(FastHttpUser):
        def on_start(self):
            if not accounts:
                raise StopUser()
            self.account = accounts.pop()

        @task
        def get(self):
            self.client.get(f"/{self.account}")
    """
    with StubServer(lambda asked: Answer(hold_s=0.5)) as stub:
        rows, _ = run(planned(tmp_path, stub.url, text, duration_ms=500.0), tmp_path)
    assert outcomes(rows) == {Outcome.OK: 3, Outcome.NO_REQUEST: 7}
    assert notes(tmp_path) == []


def test_without_max_users_the_fix_names_it(tmp_path: Path) -> None:
    text = """
    accounts = ["ann", "bob", "cem"]

    class Customer(FastHttpUser):
        def on_start(self):
            self.account = accounts.pop()

        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("raised", line_of(tmp_path, "accounts.pop()"))
    assert "load.max_users" in note.remedy


def test_an_on_start_that_misses_what_the_service_refused_says_so(tmp_path: Path) -> None:
    text = """
    class Customer(FastHttpUser):
        def on_start(self):
            self.token = self.client.post("/v1/login", name="login").json()["data"]

        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer(lambda asked: Answer(401, b'{"detail": "no such user"}')) as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.where) == ("on_start", line_of(tmp_path, '["data"]'))
    assert note.text == 'KeyError: \'data\', after POST login was answered 401: {"detail": "no such user"}'
    assert ("in_on_start", "login") in notes(tmp_path)


def test_headers_of_the_scenario_are_under_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_TEST_TOKEN", "secret-of-the-test")
    text = """
    class Fast(FastHttpUser):
        def on_start(self):
            self.client.get("/login")

        @task
        def get(self):
            self.client.get("/fast", headers={"x-team": "theirs"})

    class Slow(HttpUser):
        def on_start(self):
            self.client.headers["X-Region"] = "theirs"

        @task
        def get(self):
            self.client.get("/slow")
    """
    headers = {"Authorization": "Bearer ${LOAD_TEST_TOKEN}", "X-Team": "ours", "x-region": "ours", "User-Agent": "us"}
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, requests=(get(name="locustfile", headers=headers),))
        run(plan, tmp_path)
    by_path = {asked.path: asked.headers for asked in stub.asked}
    assert {headers["authorization"] for headers in by_path.values()} == {"Bearer secret-of-the-test"}
    assert {path: headers["x-team"] for path, headers in by_path.items()} == {
        "/login": "ours",
        "/fast": "theirs",
        "/slow": "ours",
    }
    assert by_path["/slow"]["x-region"] == "theirs"
    assert by_path["/slow"]["user-agent"] == "us"


@pytest.mark.parametrize(
    "call",
    [
        'self.client.get("http://192.0.2.7/x")',
        pytest.param('__import__("requests").get("http://192.0.2.7/x", timeout=1)', marks=NIGHTLY),
        '__import__("socket").create_connection(("192.0.2.7", 80), 1)',
    ],
)
def test_a_host_outside_this_machine_is_never_asked(tmp_path: Path, call: str) -> None:
    text = f"""
    class Visitor(HttpUser):
        @task
        def get(self):
            self.client.get("/")
            {call}
    """
    with StubServer() as stub:
        note, _ = refused(planned(tmp_path, stub.url, text), tmp_path)
    assert (note.kind, note.text, note.where) == ("host", "192.0.2.7", line_of(tmp_path, "192.0.2.7"))
    assert "--allow-target 192.0.2.7" in note.remedy


@pytest.mark.parametrize("base", ["FastHttpUser", pytest.param("HttpUser", marks=NIGHTLY)])
def test_another_server_is_asked_and_not_counted_as_the_service(tmp_path: Path, base: str) -> None:
    text = f"""
    class Visitor({base}):
        @task
        def get(self):
            self.client.get(os.environ["OTHER"] + "/token")
            self.client.get("/offers")
            self.client.get(self.host + "/absolute", name="absolute")
    """
    with StubServer() as stub, StubServer() as other, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER", other.url)
        headers = {"authorization": "for the service alone"}
        plan = planned(tmp_path, stub.url, text, requests=(get(name="locustfile", headers=headers),), duration_ms=300.0)
        rows, _ = run(plan, tmp_path)
    assert outcomes(rows) == {Outcome.OK: 12}
    assert read_names(tmp_path, 1) == (("/offers", "absolute"),)
    assert len(other.asked) == 6
    assert all("authorization" not in asked.headers and asked.seq is None for asked in other.asked)


def test_options_of_the_locustfile_and_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_TEST_KEY", "from-the-environment")
    text = """
    @events.init_command_line_parser.add_listener
    def add(parser):
        parser.add_argument("--region", default="none")
        parser.add_argument("--key", is_secret=True)
        parser.add_argument("--verbose-paths", action="store_true")

    class Visitor(FastHttpUser):
        @tag("wanted")
        @task
        def get(self):
            options = self.environment.parsed_options
            self.client.get(f"/{options.region}/{options.key}/{options.verbose_paths}")

        @tag("other")
        @task(9)
        def never(self):
            self.client.get("/never")
    """
    options = ("--region", "eu west", "--key", "${LOAD_TEST_KEY}", "--verbose-paths", "--tags", "wanted")
    with StubServer() as stub:
        run(planned(tmp_path, stub.url, text, locust_options=options, duration_ms=200.0), tmp_path)
        run_dir = tmp_path / "closed"
        run_dir.mkdir()
        run(closed(tmp_path, stub.url, text, locust_options=options), run_dir)
    assert {asked.path for asked in stub.asked} <= {
        "/eu west/from-the-environment/True",
        "/eu%20west/from-the-environment/True",
    }
    assert b"from-the-environment" not in (tmp_path / "plan.json").read_bytes()


def test_users_start_when_the_service_is_ready(tmp_path: Path) -> None:
    """The worker starts beside the service, and a login before that would be refused."""
    text = """
    class Visitor(FastHttpUser):
        def on_start(self):
            assert self.client.get("/login").status_code == 200

        @task
        def get(self):
            self.client.get("/")
    """
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, duration_ms=200.0)
        with Worker(plan, tmp_path, service_ready=False) as worker:
            time.sleep(1.5)
            assert stub.asked == []
            assert not (tmp_path / "control" / "ready-0").exists()
            (tmp_path / "control").mkdir(exist_ok=True)
            worker.tell("service.json", {})
            worker.await_ready()
            assert {asked.path for asked in stub.asked} == {"/login"}
            worker.start()
            assert worker.finish() == 0, worker.stderr


@NIGHTLY
def test_names_with_ids_are_bounded_and_said(tmp_path: Path) -> None:
    """By day `test_request_names` stands for it."""
    text = """
    class Visitor(FastHttpUser):
        @task
        def get(self):
            for number in range(300):
                self.client.get(f"/item/{next(self.turn)}")
        turn = itertools.count()
    """
    with StubServer() as stub:
        plan = planned(tmp_path, stub.url, text, rate_per_s=5, duration_ms=1000.0, drain_ms=15_000.0)
        rows, _ = run(plan, tmp_path)
    assert len(rows) == 1500
    assert int(rows["request"].max()) == 1001
    assert notes(tmp_path) == [("many_names", "1000")]
