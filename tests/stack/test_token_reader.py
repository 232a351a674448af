"""The supervisor's end of the pipe of tokens: everything that workers report is redacted, and nothing blocks."""

from __future__ import annotations

import asyncio
import json
import os

from harness.stack.load.token_reader import TokenReader


def line(token: str) -> bytes:
    return json.dumps(token).encode() + b"\n"


async def read(*pieces: bytes, close_early: bool = False) -> set[str]:
    secrets: set[str] = {"known"}
    reader = TokenReader(secrets, asyncio.get_running_loop())
    fd = os.dup(reader.write_fd)
    reader.release_writer()
    for piece in pieces:
        os.write(fd, piece)
        if not close_early:
            await asyncio.sleep(0.01)
    os.close(fd)
    if not close_early:
        await asyncio.sleep(0.01)
    reader.close()
    return secrets


def test_every_token_is_added_however_it_is_cut() -> None:
    sent = line("one") + line("zwei-ü") + line("three")
    assert asyncio.run(read(sent[:9], sent[9:])) == {"known", "one", "zwei-ü", "three"}


def test_what_is_in_the_pipe_when_the_workers_have_ended_is_read() -> None:
    assert asyncio.run(read(line("one"), line("two"), close_early=True)) == {"known", "one", "two"}


def test_a_torn_line_is_added_as_it_is() -> None:
    assert asyncio.run(read(b'"abc' + line("other"), b"def\n")) == {"known", 'abc"other', "def"}


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    async def many() -> set[str]:
        secrets: set[str] = set()
        reader = TokenReader(secrets, asyncio.get_running_loop())
        for _ in range(40):
            os.write(reader.write_fd, b"x" * 60_000)
            await asyncio.sleep(0)
            reader.read()
        os.write(reader.write_fd, b"\n" + line("after"))
        reader.read()
        reader.release_writer()
        reader.close()
        return secrets

    found = asyncio.run(many())
    assert "after" in found
    assert max(map(len, found)) < 1_100_000


def test_without_a_loop_it_reads_when_it_is_asked() -> None:
    reader = TokenReader(set())
    fd = os.dup(reader.write_fd)
    reader.release_writer()
    os.write(fd, line("one"))
    reader.read()
    assert reader.secrets == {"one"}
    os.write(fd, line("two"))
    os.close(fd)
    reader.read()
    reader.read()  # the other end is gone, which is no error
    assert reader.secrets == {"one", "two"}
    reader.close()
