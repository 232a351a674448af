"""What a worker accepts of what it is given, by its own rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.remote.messages import Welcome
from harness.remote.roster import digest_of, for_workers
from harness.rundir.plan import Plan
from harness.rundir.planned.upstream import Endpoint
from harness.worker.admission import accepted_plan
from harness.worker.agent import WorkerOptions
from tests.rundir.recording import make_plan


def plan(**of_load: object) -> Plan:
    made = make_plan()
    return made.model_copy(update={"load": made.load.model_copy(update=of_load)})


def welcome(given: Plan) -> Welcome:
    return Welcome(
        index=0,
        plan=for_workers(given),
        locustfile_sha256=digest_of(given.load.locustfile),
        data_sha256=digest_of(given.load.data),
    )


def options(**given: object) -> WorkerOptions:
    return WorkerOptions(master=Endpoint(port=1), token_file=Path("token"), **given)  # type: ignore[arg-type]


def at(target: str) -> Plan:
    made = plan()
    return made.model_copy(update={"gateway": made.gateway.model_copy(update={"target": target})})


def test_a_target_off_loopback_needs_consent_here_too() -> None:
    far = welcome(at("http://10.9.8.7:80"))
    with pytest.raises(UsageError, match=r"tailgate would send load to 10\.9\.8\.7"):
        accepted_plan(far, options(), {})
    with pytest.raises(UsageError) as refused:
        accepted_plan(far, options(allowed=("10.9.8.8",)), {})
    assert refused.value.fix.endswith("add --allow-target 10.9.8.7")
    assert accepted_plan(far, options(allowed=("10.9.8.7",)), {}).gateway.target == "http://10.9.8.7:80"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "far.example",
        "http://",
        "http://127.0.0.1@far.example",
        "http://far.example\\@127.0.0.1",
        "file:///etc/passwd",
    ],
)
def test_a_target_that_two_programs_may_read_differently_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="is no plain address of a service"):
        accepted_plan(welcome(at(target)), options(), {})


@pytest.mark.parametrize("path", ["http://far.example/", "@far.example/", "//far.example", "x"])
def test_a_path_cannot_lead_to_another_host(path: str) -> None:
    """`//host` begins with a slash: it is appended to the target, and stays a path there."""
    request = plan().load.requests[0].model_copy(update={"path": path})
    given = welcome(plan(requests=(request,)))
    if path.startswith("/"):
        assert accepted_plan(given, options(), {}).load.requests[0].path == path
        return
    with pytest.raises(UsageError, match="is no path on"):
        accepted_plan(given, options(), {})


@pytest.mark.parametrize("what", ["locustfile", "data"])
def test_a_file_is_this_machines_own_copy_and_must_be_the_same(tmp_path: Path, what: str) -> None:
    theirs, own, other = (tmp_path / name for name in ("theirs.py", "own.py", "other.py"))
    for path, text in ((theirs, "x = 1\n"), (own, "x = 1\n"), (other, "x = 2\n")):
        path.write_text(text)
    given = welcome(plan(**{what: str(theirs)}))
    with pytest.raises(UsageError, match=r"the load uses theirs\.py, of which this worker was given no copy") as none:
        accepted_plan(given, options(), {})  # although a file of that path is here: the master decides no path
    assert none.value.fix == f"add --{what} FILE"
    with pytest.raises(UsageError, match=r"is not the theirs\.py of the run: their digests differ"):
        accepted_plan(given, options(**{what: other}), {})
    with pytest.raises(UsageError, match="cannot be read"):
        accepted_plan(given, options(**{what: tmp_path / "none"}), {})
    assert getattr(accepted_plan(given, options(**{what: own}), {}).load, what) == str(own)


def test_variables_come_from_this_machines_environment_and_travel_unexpanded() -> None:
    made = plan()
    request = made.load.requests[0].model_copy(update={"headers": {"X-Key": "${FAR_KEY}"}})
    given = welcome(plan(requests=(request, *made.load.requests[1:])))
    assert b"${FAR_KEY}" in given.plan
    with pytest.raises(UsageError, match=r"the scenario uses \$\{FAR_KEY\}, which is not set"):
        accepted_plan(given, options(), {})
    accepted = accepted_plan(given, options(), {"FAR_KEY": "k" * 20})
    assert accepted.load.requests[0].headers == {"X-Key": "${FAR_KEY}"}  # Locust expands it when it sends
    with pytest.raises(UsageError, match="cannot be sent in the header `X-Key`"):
        accepted_plan(given, options(), {"FAR_KEY": "two\nlines"})


def test_a_plan_that_cannot_be_read_is_declined() -> None:
    with pytest.raises(UsageError, match="the plan of the run cannot be read here"):
        accepted_plan(Welcome(index=0, plan=b"{}"), options(), {})


def test_a_worker_with_too_few_open_files_for_its_share_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (100, 1_000))
    given = welcome(plan(workers=3, max_in_flight=3_000))
    with pytest.raises(UsageError, match="this worker may need 1,064 open files, and its limit is 1,000"):
        accepted_plan(given, options(), {})
    accepted_plan(welcome(plan(workers=4, max_in_flight=3_000)), options(), {})


def test_a_locustfile_may_ask_only_hosts_that_this_worker_allows() -> None:
    given = welcome(plan(allowed_targets=("far.example",)))
    assert accepted_plan(given, options(), {}).load.allowed_targets == ()
    assert accepted_plan(given, options(allowed=("own.example",)), {}).load.allowed_targets == ("own.example",)


@pytest.mark.parametrize(
    "words",
    [
        ("--locustfile=/tmp/evil.py",),
        ("--region=eu", "-f", "/tmp/evil.py"),
        ("--tags", "a", "--csv=/tmp/evil"),
        ("--hos=http://far.example",),
        ("--tailgate-run=/tmp",),
        ("--",),
    ],
)
def test_a_plan_brings_no_options_of_locusts_own(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="is no option of a locustfile"):
        accepted_plan(welcome(plan(locust_options=words)), options(), {})


def test_options_that_the_locustfile_reads_are_accepted() -> None:
    words = ("--region=eu", "--fast", "--tags", "a", "b", "--exclude-tags=c", "--note=-x")
    assert accepted_plan(welcome(plan(locust_options=words)), options(), {}).load.locust_options == words
