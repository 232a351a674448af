"""The command line of a Locust worker, written and read in one place; imports no Locust.

The process must be started in the run directory: Locust puts its working directory on `sys.path`, and the run directory
contains no Python modules. Once Locust is imported, a user's own locustfile is loaded and run in the folder where
tailgate was started, as under Locust.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.errors import RigError
from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedLoad

LOCUSTFILE = Path(__file__).with_name("locustfile.py")


@dataclass(frozen=True, slots=True)
class WorkerId:
    """Which worker of which run this process is."""

    run_dir: Path
    index: int
    token_file: Path | None = None
    """The token of the load's master on another machine; None: there is no master."""
    folder: Path | None = None
    """Where relative paths in a user's own locustfile count from; None: in the run directory."""

    def tidy_up(self) -> None:
        """Removes what a `tailgate worker` that is gone has left: its temporary folder, in which this process runs."""
        if self.token_file is not None:
            shutil.rmtree(self.run_dir, ignore_errors=True)


def worker_argv(run_dir: Path, index: int) -> list[str]:
    """The command that runs worker `index` (from 0) of the plan in `run_dir`. Reads plan.json.

    A user's own locustfile will run in the folder in which this is called. Exit 0: every row written and the file
    closed. Otherwise the last line of stderr says why.
    """
    plan = Plan.read(run_dir)
    users = own_share(plan.load.users, plan.load.workers, index) if plan.load.users is not None else 1
    spawning = ["--headless", "--users", str(users), "--spawn-rate", str(max(1, users))]
    return _locust(plan, spawning, run_dir, index)


def remote_worker_argv(run_dir: Path, index: int, *, host: str, port: int, token_file: Path) -> list[str]:
    """The same for a worker of Locust's master at `host` and `port`, which says how many users it starts."""
    host = f"[{host}]" if ":" in host else host  # Locust puts it into an address as it is
    argv = _locust(Plan.read(run_dir), ["--worker", "--master-host", host, "--master-port", str(port)], run_dir, index)
    return [*argv, "--tailgate-token", str(token_file.absolute())]


def master_argv(run_dir: Path) -> list[str]:
    """The command that runs Locust's master for the plan in `run_dir`. Exits as a worker does."""
    return [sys.executable, "-P", "-m", "scenarios.drive.remote.master", str(run_dir.absolute())]


def _locust(plan: Plan, mode: Sequence[str], run_dir: Path, index: int) -> list[str]:
    argv = [sys.executable, "-P", "-m", "scenarios.drive.locust_worker", *mode, "-f", str(LOCUSTFILE)]
    argv += ["--host", plan.gateway.target]
    argv += ["--exit-code-on-error", "0", "--only-summary", "--skip-log-setup"]
    argv += plan.load.locust_options
    if plan.load.locustfile is not None:
        argv += ["--tailgate-folder", str(Path.cwd())]
    return [*argv, "--tailgate-run", str(run_dir.absolute()), "--tailgate-worker", str(index)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds tailgate's own arguments. Locust's parser needs them too, or it would refuse them."""
    parser.add_argument("--tailgate-run", type=Path, required=True)
    parser.add_argument("--tailgate-worker", type=int, required=True)
    parser.add_argument("--tailgate-token", type=Path)
    parser.add_argument("--tailgate-folder", type=Path)


def worker_id_of(argv: Sequence[str]) -> WorkerId:
    """Parses the arguments that `worker_argv` wrote. Exits with 2 if they are missing, as argparse does."""
    parser = argparse.ArgumentParser(prog="tailgate worker", allow_abbrev=False, add_help=False)
    add_arguments(parser)
    known, _ = parser.parse_known_args(argv)
    return WorkerId(known.tailgate_run, known.tailgate_worker, known.tailgate_token, known.tailgate_folder)


def sends_by_libcurl(load: PlannedLoad) -> bool:
    """Whether libcurl sends this load: the scenario's own requests in the open model, where pycurl is installed.

    Otherwise Locust's clients do. Imports no pycurl.
    """
    return _could_be_libcurl(load) and find_spec("pycurl") is not None


def lacks_libcurl(load: PlannedLoad) -> bool:
    """Whether libcurl would send this load if pycurl were installed; FastHttpUser does then, at several times the CPU
    time."""
    return _could_be_libcurl(load) and find_spec("pycurl") is None


def _could_be_libcurl(load: PlannedLoad) -> bool:
    return load.model == "open" and load.locustfile is None


def own_share(total: int, workers: int, index: int) -> int:
    """How many of `total` things worker `index` gets when they are distributed in turn."""
    return total // workers + (index < total % workers)


def shares_of(most: int, weights: Sequence[int]) -> tuple[int, ...]:
    """How many of `most` users each class gets: at least one, the rest by weight (largest remainders first).

    Raises RigError if there are fewer users than classes.
    """
    if most < len(weights):
        raise RigError(
            f"`load.max_users` gives a worker {most} users, but the locustfile has {len(weights)} user classes",
            "give each class at least one user for each worker",
        )
    rest, total = most - len(weights), sum(weights)
    exact = [rest * weight / total for weight in weights]
    shares = [int(each) for each in exact]
    by_remainder = sorted(range(len(weights)), key=lambda index: shares[index] - exact[index])
    for index in by_remainder[: rest - sum(shares)]:
        shares[index] += 1
    return tuple(1 + share for share in shares)
