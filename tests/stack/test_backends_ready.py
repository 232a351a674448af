"""What the process of the fakes says at its end, and whom the run then holds responsible."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import fake_backends.__main__ as process
from harness.errors import RigError
from harness.rundir.planned.forwarding import ForwardSpec, StreamSpec
from harness.stack.processes import backends
from harness.stack.processes.process import ChildProcess
from tests.fake_backends.plans import plan, upstream


def _never_ready(*log: str) -> RigError:
    """The error of a process that has ended with these lines."""

    async def main() -> RigError:
        code = asyncio.get_running_loop().create_future()
        code.set_result(4)
        child = SimpleNamespace(code=code, alive=False, log_place="logs/backends.log", log_excerpt=lambda: list(log))
        with pytest.raises(RigError) as caught:
            await backends.ready(plan(upstream()).stack, cast(ChildProcess, child))
        return caught.value

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("lines", "part", "message", "fix"),
    [
        (
            ["error at upstream pay: upstream `pay`: http://127.0.0.1:1 refused: why (fix: start it)"],
            "upstream pay",
            "upstream `pay`: http://127.0.0.1:1 refused: why",
            "start it",
        ),
        (["noise", "error: no plan (fix: none: at all)"], "fakes", "no plan", "none: at all"),
        (["error: no plan"], "fakes", "no plan", "see logs/backends.log"),
        (["it crashed"], "fakes", "ended with exit code 4\n  it crashed", "see logs/backends.log"),
    ],
)
def test_the_last_word_says_whose_fault_it_is(lines: list[str], part: str, message: str, fix: str) -> None:
    error = _never_ready(*lines)
    assert (error.part, error.fix) == (part, fix)
    assert error.message.endswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        {"forward": ForwardSpec(scheme="http", host="127.0.0.1", port=1)},
        {"stream": StreamSpec(host="127.0.0.1", port=1, originates=False)},
    ],
    ids=["forwarder", "stream"],
)
def test_a_real_server_that_refuses_connections_is_called_by_its_name(
    fields: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Port 1 of this machine takes no connections. What the process prints is what the test above reads."""
    pay = upstream("pay").model_copy(update={"kind": "url", "fake": None, **fields})
    plan(pay).write(tmp_path)
    assert process.main([str(tmp_path)]) == 4
    said = capsys.readouterr().err.strip()
    assert said.startswith("error at upstream pay: upstream `pay`: ")
    error = _never_ready(said)
    assert (error.part, "127.0.0.1:1" in error.message) == ("upstream pay", True)
    assert error.fix and "(fix" not in error.message
