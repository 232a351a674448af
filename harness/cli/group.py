"""The `tailgate` command: knows the commands' names and one-line helps, loads none before it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Final

import click

from harness import __version__
from harness.cli.display import output
from harness.cli.display.streams import prepare_streams
from harness.errors import RigError, TailgateError
from harness.model.plugins import leave_out_plugins
from harness.text import one_line, sanitize

COMMANDS: Final = {
    "run": "Run scenarios against a service and give a verdict.",
    "worker": "Send a part of the load of a run on another machine.",
    "judge": "Judge finished runs again, from their evidence alone.",
    "report": "Write a run's reports again.",
    "compare": "Compare two runs: is HEAD slower than BASE?",
    "validate": "Check scenarios without starting anything.",
    "capacity": "Find the highest rate that the service carries, and what stops it.",
    "frontier": "Find how slow, how broken, how long gone an upstream may be.",
    "plan": "Say before anything runs how long each gate needs to be decided.",
    "schema": "Print the JSON schema of scenarios, or of what the commands write.",
    "init": "Write a scenario to start from.",
    "doctor": "Check this machine, with the command that mends each finding.",
    "toxiproxy": "Install, serve or sweep Toxiproxy.",
}

_GC_THRESHOLD: Final = 200_000
"""Objects made before Python looks for garbage, 700 by default. What a start imports stays (about 50,000 objects), and
searching it over and over is a tenth of the time that `validate` takes."""


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (
            BrokenPipeError
        ) as exc:  # of a child: our own streams raise none, and click would end with 1, a failed gate
            raise RuntimeError("the pipe to a child broke") from exc

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"harness.cli.{cmd_name}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tailgate")
def _tailgate() -> None:
    """One slow backend must not take the service down. tailgate proves it, or says why not."""


def main(argv: list[str] | None = None) -> None:
    """Entry point. Exits with the contract's codes; every expected error becomes a message with its fix.

    `argv`: the words after `tailgate`; None: those of this process, which then ends here.
    """
    gc.set_threshold(_GC_THRESHOLD)
    leave_out_plugins()
    try:
        _run_command(argv)
    except SystemExit as leaving:
        if argv is None:
            _leave(leaving.code)
        raise
    finally:
        gc.freeze()  # the interpreter would search all that was imported for garbage three times before it ends


def _leave(code: object) -> None:
    """End the process without taking apart what it has imported, which takes 40 ms after a run: everything is closed.

    Returns if that is not possible: the interpreter then ends in the usual way, and says what is wrong.
    """
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        return
    if isinstance(code, int):
        os._exit(code)


def _run_command(argv: list[str] | None) -> None:
    words = sys.argv[1:] if argv is None else argv
    prepare_streams()
    try:
        code = _tailgate.main(args=words, prog_name="tailgate", standalone_mode=False)
        sys.stdout.flush()  # here, where a failure still becomes a message and an exit code
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as exc:
        output.usage_error(exc, as_json="--json" in words)
        sys.exit(2)
    except TailgateError as exc:
        output.error(exc, as_json="--json" in words)
        sys.exit(exc.exit_code)
    except Exception as exc:  # the top of the process: Python's own exit code 1 would read as "a gate failed"
        import traceback

        sys.stderr.write(sanitize(traceback.format_exc()))
        defect = RigError(
            f"a defect of tailgate: {type(exc).__name__}: {one_line(str(exc))}", "report it, with the lines above"
        )
        output.error(defect, as_json="--json" in words)
        sys.exit(defect.exit_code)
