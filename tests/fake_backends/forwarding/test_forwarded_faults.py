"""What the service sees of a real origin through the forwarder with each kind of fault."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path

import pytest

from fake_backends.forwarding.content_coding import Decoder, only_readable
from harness.rundir.planned import behaviours as does
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.fault import PlannedFault
from tests.fake_backends.fakes import fault
from tests.fake_backends.forwarding.forwarding_rig import (
    Origin,
    Script,
    answers,
    finish,
    late_ms,
    ok,
    rig,
)

pytestmark = pytest.mark.stack

JSON = ok(b'{"rates":[1,2]}', "content-type: application/json")


def pay(behaviour: Behaviour, *, share: float = 1.0) -> PlannedFault:
    return fault(behaviour, share=share, upstreams=("pay",))


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (does.Status(status=503, retry_after_s=7), b"HTTP/1.1 503 "),
        (does.Malformed(), b'{"rates":[1,2]]'),
        (does.WrongSchema(), b'"version":2'),
        (does.Empty(), b'{"rates":[]}'),
        (does.RedirectLoop(), b"location: /v1?a=b\r\n"),
    ],
)
def test_faults_that_answer_do_not_ask_the_origin(tmp_path: Path, behaviour: Behaviour, expected: bytes) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON), pay(behaviour)) as it:
            await it.get("/v1?a=b")
            await it.put_fault(0)
            assert expected in await it.get("/v1?a=b")
            assert len(it.origin.requests) == 1
            assert it.rows()["faults"].tolist() == [0, 1]

    finish(main())


TEXT = b'{"rates":[1,2]}'
COMPRESSED = {"gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT), "GZIP": gzip.compress(TEXT)}


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_compressed_answer_is_passed_on_as_it_is_and_its_shape_is_remembered(tmp_path: Path, coding: str) -> None:
    async def main() -> None:
        body = COMPRESSED[coding]
        answer = ok(body, "content-type: application/json", f"content-encoding: {coding}")
        async with rig(tmp_path, answers(answer), pay(does.Empty())) as it:
            assert (await it.get("/v1", "accept-encoding: br;q=1, gzip, deflate")).endswith(b"\r\n\r\n" + body)
            assert b"\r\naccept-encoding: gzip, deflate\r\n" in it.origin.requests[0][1]
            await it.put_fault(0)
            emptied = await it.get("/v1", "accept-encoding: gzip")
            assert emptied.endswith(b'\r\n\r\n{"rates":[]}')
            assert b"content-encoding" not in emptied

    finish(main())


def test_links_in_compressed_answers_are_counted_too(tmp_path: Path) -> None:
    async def main() -> None:
        def paged(origin: Origin) -> Script:
            text = f'{{"pad":"{"x" * 200_000}","next":"http://127.0.0.1:{origin.port}/2"}}'.encode()
            return answers(ok(gzip.compress(text), "content-type: text/json", "content-encoding: gzip"))(origin)

        async with rig(tmp_path, paged) as it:
            await it.get("/", "accept-encoding: gzip")
            assert [(note.kind, note.calls) for note in it.noticed()] == [("link", 1)]

    finish(main())


@pytest.mark.parametrize(
    ("coding", "body"),
    [("br", b"\x8b\x01\x80{}\x03"), ("gzip", b"no gzip at all"), ("gzip", gzip.compress(b" " * 1_000_000 + b"{}"))],
)
def test_what_cannot_be_decoded_or_is_too_long_passes_and_is_not_remembered(
    tmp_path: Path, coding: str, body: bytes
) -> None:
    async def main() -> None:
        answer = ok(body, "content-type: application/json", f"content-encoding: {coding}")
        async with rig(tmp_path, answers(answer), pay(does.Empty())) as it:
            assert (await it.get("/v1")).endswith(b"\r\n\r\n" + body)
            await it.put_fault(0)
            assert (await it.get("/v1")).endswith(b"\r\n\r\n{}")

    finish(main())


@pytest.mark.parametrize(
    ("accepted", "asked"),
    [
        (b"gzip, deflate", b"gzip, deflate"),
        (b"br, zstd", b"identity"),
        (b"gzip;q=0.5,br;q=1,*", b"gzip;q=0.5"),
        (b"", b"identity"),
    ],
)
def test_codings_that_cannot_be_looked_into_are_not_asked_for(accepted: bytes, asked: bytes) -> None:
    assert only_readable(accepted) == asked


def test_a_decoder_never_gives_more_text_than_it_may() -> None:
    decoder = Decoder([(b"content-encoding", b"gzip")], 1_000)
    bomb = gzip.compress(b"x" * 10_000_000)
    assert sum(len(decoder.text(bomb[at : at + 64])) for at in range(0, len(bomb), 64)) == 1_000
    assert not decoder.is_readable
    cut = Decoder([(b"content-encoding", b"gzip")], 1_000)
    cut.text(gzip.compress(b"{}")[:-9])
    assert not cut.is_whole


def test_an_answer_that_nobody_knows_yet_is_an_empty_object(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON), pay(does.Empty())) as it:
            await it.put_fault(0)
            assert (await it.get("/new")).endswith(b"\r\n\r\n{}")
            assert not it.origin.requests

    finish(main())


def test_a_late_answer_is_the_origins_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON), pay(does.Late(latency_ms=300))) as it:
            await it.put_fault(0)
            assert (await it.get()).endswith(b"2]}")
            assert len(it.origin.requests) == 1
            rows = it.rows()
            assert 299 <= late_ms(rows)[0] < 10_000
            assert rows["faults"].tolist() == [1]

    finish(main())


def test_a_hang_never_asks_and_ends_with_a_reset_when_it_is_lifted(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON), pay(does.Hang())) as it:
            await it.put_fault(0)
            held = asyncio.ensure_future(it.get())
            await asyncio.sleep(0.1)
            assert not held.done() and not it.origin.connections
            await it.put_fault(0, method="DELETE")
            with pytest.raises(ConnectionResetError):
                await held
            assert (await it.get()).endswith(b"2]}")
            assert it.rows()["faults"].tolist() == [1, 0]

    finish(main())


def test_truncated_dripped_and_padded_bodies_are_the_origins(tmp_path: Path) -> None:
    body = b'{"a":"' + b"x" * 990 + b'"}'
    faults = [pay(does.Truncate(keep=0.5)), pay(does.Drip(over_ms=400)), pay(does.Huge(size_bytes=5_000))]

    async def main() -> None:
        async with rig(tmp_path, answers(ok(body, "content-type: application/json")), *faults) as it:
            await it.put_fault(0)
            head, _, cut = (await it.get()).partition(b"\r\n\r\n")
            assert b"content-length: 998" in head and cut == body[:499]
            await it.put_fault(0, method="DELETE")
            await it.put_fault(1)
            assert (await it.get()).endswith(body)
            await it.put_fault(1, method="DELETE")
            await it.put_fault(2)
            _, _, padded = (await it.get("/", "accept-encoding: gzip")).partition(b"\r\n\r\n")
            assert len(padded) == 5_000 and json.loads(padded) == json.loads(body)
            assert b"accept-encoding: identity" in it.origin.requests[-1][1]
            rows = it.rows()
            assert rows["faults"].tolist() == [1, 2, 4]
            assert late_ms(rows)[1] >= 399

    finish(main())


def test_a_share_of_the_calls_meets_a_fault(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON), pay(does.Status(status=503), share=0.3)) as it:
            await it.put_fault(0)
            got = [(await it.get("/", f"x-tailgate-seq: {seq}"))[9:12] for seq in range(60)]
            assert 5 < got.count(b"503") < 35 and got.count(b"200") == 60 - got.count(b"503")
            assert len(it.origin.requests) == got.count(b"200")

    finish(main())


def test_a_capacity_queues_calls_before_the_origin(tmp_path: Path) -> None:
    most = 0
    open_now = 0

    def slow(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal most, open_now
            await origin.head(reader, 1)
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.2)  # until the others have come, also on a busy machine
            open_now -= 1
            writer.write(JSON)
            await writer.drain()

        return script

    async def main() -> None:
        async with rig(tmp_path, slow, pay(does.Capacity(limit=1))) as it:
            await it.put_fault(0)
            got = await asyncio.gather(*(it.get() for _ in range(4)))
            assert all(each.endswith(b"2]}") for each in got)
            assert most == 1
            assert sorted(it.rows()["faults"].tolist()) == [0, 1, 1, 1]

    finish(main())


def test_a_large_body_is_passed_on_without_being_kept(tmp_path: Path) -> None:
    """One piece after the other: what is in memory at once does not grow with the body."""
    size = 40_000_000

    def large(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await origin.head(reader, 1)
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
            piece = b"z" * 100_000
            for _ in range(size // len(piece)):
                writer.write(piece)
                await writer.drain()
                sent.append(len(piece))
            await reader.read()

        sent.clear()
        return script

    sent: list[int] = []

    async def main() -> None:
        async with rig(tmp_path, large) as it:
            reader, writer = await it.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await asyncio.sleep(0.5)
            assert sum(sent) < 20_000_000  # a client that does not read stops the origin
            got = 0
            while got < size:
                got += len(await reader.read(1_000_000))
            writer.close()

    finish(main())
