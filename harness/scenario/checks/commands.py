"""Checks the commands of upstreams that tailgate starts: does the program exist, and is it what runs? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from harness.scenario.names.input_files import Inputs
from harness.scenario.schema.scenario import Scenario
from harness.scenario.source.diagnostics import Diagnostic

CONTAINER_CLIENTS: Final = ("docker", "podman", "nerdctl", "docker-compose", "podman-compose")
"""Programs that have another process start what runs."""


def upstream_program_findings(scenario: Scenario, inputs: Inputs) -> Iterator[Diagnostic]:
    """The commands of upstreams whose program does not exist or is not executable."""
    for name, upstream in scenario.upstreams.items():
        cwd = inputs.upstreams[name].cwd
        if upstream.argv and cwd is not None:
            from harness.scenario.names.programs import program_findings  # a late import, since most start none

            yield from program_findings(upstream.argv, upstream.environment, cwd, ("upstreams", name))


def container_warnings(scenario: Scenario) -> Iterator[Diagnostic]:
    """Warns of commands that start a container: tailgate can end or stop their client only."""
    for name, upstream in scenario.upstreams.items():
        if not upstream.argv:
            continue
        program = PurePath(upstream.argv[0]).name
        if program in CONTAINER_CLIENTS:
            yield Diagnostic(
                ("upstreams", name, "command"),
                f"tailgate starts and ends `{program}`, which is only the client: the container may outlive the "
                "run, and `kill` and `pause` do not reach it",
                "start the container yourself and give the upstream its `url`, or run the server without a container",
            )
