"""The top of the process: every end has a code of the contract, a defect included."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
import pytest

from harness.cli import group
from harness.errors import RigError, TailgateError, UsageError


def _command(raises: BaseException) -> click.Command:
    @click.command("doctor")
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json: bool) -> None:
        raise raises

    return command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(raises: BaseException, *words: str) -> int:
        monkeypatch.setattr(group._Group, "get_command", lambda *_: _command(raises))
        with pytest.raises(SystemExit) as ended:
            group.main(["doctor", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run


@pytest.mark.parametrize(
    ("raises", "code"),
    [
        (UsageError("no"), 2),
        (RigError("no"), 4),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("a slip"), 4),
        (OSError("disk"), 4),
    ],
)
def test_every_end_has_its_code(run: Callable[..., int], raises: BaseException, code: int) -> None:
    assert run(raises) == code


def test_an_error_is_one_document_with_json(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(RigError("no Toxiproxy", "install it"), "--json") == 4
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["exit_code"]) == ("error", 4)
    assert told["problems"][0]["message"] == "no Toxiproxy"
    assert told["problems"][0]["fix"] == "install it"


def test_a_mistake_on_the_command_line_names_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        group.main(["run", "--no-such-flag"])
    assert ended.value.code == 2
    assert "No such option" in capsys.readouterr().err


def test_output_knows_every_error_we_raise() -> None:
    assert {one.exit_code for one in TailgateError.__subclasses__()} == {1, 2, 4, 130}
