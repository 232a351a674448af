"""What each probe makes of a server's bytes: in pieces of any size, cut anywhere, of another protocol, or nonsense."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.upstreams.probes import SPOKEN, Probe, probe_of
from harness.upstreams.probes.postgres import STARTUP
from harness.upstreams.probes.redis import REPEATED
from harness.upstreams.protocols import PROTOCOLS, SCHEMES, canary_pause_s, canary_size
from tests.rundir.recording import make_plan

TLS_ALERT = bytes.fromhex("15030300020228")
HTTP_ANSWER = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
SSH_BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"


def upstream(protocol: ProtocolName) -> PlannedUpstream:
    return PlannedUpstream(
        name="db",
        index=0,
        kind="url",
        protocol=protocol,
        listener=Endpoint(port=1),
        origin=Endpoint(host="db.example", port=2),
    )


def probe(protocol: ProtocolName, *, reads_to_end: bool = False) -> Probe:
    return probe_of(upstream(protocol), reads_to_end=reads_to_end)


# ---------------------------------------------------------------- bytes of servers, by the protocols' specifications


def pg(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", 4 + len(body)) + body


def pg_error(state: str) -> bytes:
    return pg(b"E", b"SFATAL\0VFATAL\0C" + state.encode() + b"\0Mrole does not exist\0\0")


PG_UNKNOWN = pg(b"v", struct.pack("!II", 0, 1) + STARTUP.split(b"\0")[-4] + b"\0")
PG_SASL = pg(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0")
PG_LET_IN = pg(b"R", bytes(4)) + pg(b"Z", b"I")


def my(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes((number,)) + body


def my_error(code: int) -> bytes:
    return b"\xff" + struct.pack("<H", code) + b"#28000Access denied"


MY_GREETING = my(
    0,
    b"\x0a8.0.36\0" + bytes(4) + b"saltsalt\0" + b"\xff\xff\x21\x02\0\xff\xdf\x15" + bytes(10) + b"x" * 12 + b"\0"
    b"caching_sha2_password\0",
)
MY_SWITCH = my(2, b"\xfecaching_sha2_password\0" + b"x" * 20 + b"\0")

KAFKA_BODY = struct.pack("!ihi", 0x7461_696C, 0, 2) + struct.pack("!hhhhhh", 0, 0, 9, 18, 0, 3)
KAFKA_WELL = struct.pack("!i", len(KAFKA_BODY)) + KAFKA_BODY
KAFKA_NO_V0 = struct.pack("!iih", 6, 0x7461_696C, 35)


def amqp_method(cls: int, method: int) -> bytes:
    mechanisms, locales = (struct.pack("!I", len(text)) + text for text in (b"PLAIN", b"en_US"))
    payload = struct.pack("!HH", cls, method) + b"\0\x09" + bytes(4) + mechanisms + locales
    return struct.pack("!BHI", 1, 0, len(payload)) + payload + b"\xce"


H2_SETTINGS = bytes.fromhex("00000c040000000000") + bytes.fromhex("000300000064") + bytes.fromhex("000400400000")


@dataclass(frozen=True)
class Case:
    protocol: ProtocolName
    answers: tuple[bytes, ...]
    """Each is sent when the probe has sent what the one before it asks for."""
    fault: str = ""


ALIVE = {
    "postgres asks for a password": Case("postgres", (b"N", PG_UNKNOWN + PG_SASL)),
    "postgres lets anyone in": Case("postgres", (b"N", PG_UNKNOWN + PG_LET_IN)),
    "postgres knows no such role": Case("postgres", (b"N", PG_UNKNOWN + pg_error("28000"))),
    "postgres behind a pooler that knows no option": Case("postgres", (b"N", pg_error("08P01"))),
    "postgres with TLS that does not suit": Case("postgres", (b"S", TLS_ALERT)),
    "mysql denies": Case("mysql", (MY_GREETING, my(2, my_error(1045)))),
    "mysql switches, then denies": Case("mysql", (MY_GREETING, MY_SWITCH, my(4, my_error(1045)))),
    "mysql wants the password itself": Case(
        "mysql", (MY_GREETING, MY_SWITCH, my(4, b"\x01\x04"), my(6, my_error(1045)))
    ),
    "mysql lets anyone in": Case("mysql", (MY_GREETING, my(2, b"\0\0\0\x02\0\0\0"))),
    "redis repeats": Case("redis", (b"$%d\r\n%b\r\n" % (len(REPEATED), REPEATED),)),
    "redis that repeats nothing": Case("redis", (b"+PONG\r\n",)),
    "redis wants a password": Case("redis", (b"-NOAUTH Authentication required.\r\n",)),
    "redis lets no stranger ping": Case("redis", (b"-NOPERM this user has no permissions\r\n",)),
    "kafka": Case("kafka", (KAFKA_WELL,)),
    "kafka without version 0": Case("kafka", (KAFKA_NO_V0,)),
    "amqp": Case("amqp", (amqp_method(10, 10),)),
    "amqp of another version": Case("amqp", (b"AMQP\x00\x01\x00\x00",)),
    "grpc": Case("grpc", (H2_SETTINGS,)),
    "grpc without settings": Case("grpc", (bytes.fromhex("000000040000000000"),)),
    "tls alert": Case("tls", (TLS_ALERT,)),
    "http of any status below 500": Case("http", (b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n",)),
}

UNWELL = {
    "postgres that starts up": Case(
        "postgres", (b"N", PG_UNKNOWN + pg_error("57P03")), "refuses every session: SQLSTATE 57P03"
    ),
    "postgres that is full": Case("postgres", (b"N", pg_error("53300")), "refuses every session: SQLSTATE 53300"),
    "mysql that is full": Case(
        "mysql", (my(0, my_error(1040)),), "refuses everyone from here: too many connections (error 1040)"
    ),
    "mysql that blocks this host": Case(
        "mysql",
        (my(0, my_error(1129)),),
        "refuses everyone from here: this host is blocked after broken handshakes (error 1129)",
    ),
    "mysql with an error before the handshake": Case(
        "mysql", (my(0, my_error(1043)),), "refuses the connection before the handshake"
    ),
    "redis that loads": Case(
        "redis",
        (b"-LOADING Redis is loading the dataset in memory\r\n",),
        "answers PING with the error LOADING: it is loading its data",
    ),
    "redis in protected mode": Case(
        "redis",
        (b"-DENIED Redis is running in protected mode\r\n",),
        "answers PING with the error DENIED: it is in protected mode and refuses this address",
    ),
    "redis that is full": Case("redis", (b"-ERR max number of clients\r\n",), "answers PING with the error ERR"),
    "kafka with an error": Case(
        "kafka", (struct.pack("!iih", 6, 0x7461_696C, 41),), "answers ApiVersions with the error 41"
    ),
    "amqp that closes": Case("amqp", (amqp_method(10, 50),), "closes the connection before it is opened"),
    "grpc that goes away": Case(
        "grpc",
        (bytes.fromhex("000008070000000000") + bytes(4) + bytes.fromhex("0000000b"),),
        "refuses the connection: GOAWAY with the error 11",
    ),
    "http that is broken": Case("http", (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",), "HTTP 503"),
}

TITLES = {**{name: traits.title for name, traits in PROTOCOLS.items()}, "grpc": "HTTP/2", "https": "TLS"}


def run(case: Case, *, cut: int | None = None, reads_to_end: bool = False) -> tuple[Probe, list[bytes]]:
    """Feed the answers, in pieces of `cut` bytes. Returns the probe and what it sent after each answer."""
    tested = probe(case.protocol, reads_to_end=reads_to_end)
    sent = []
    for answer in case.answers:
        size = cut or max(1, len(answer))
        said = b""
        for start in range(0, len(answer), size):
            said += tested.feed(answer[start : start + size])
        sent.append(said)
    return tested, sent


def test_every_protocol_has_a_probe_and_traits() -> None:
    names = set(get_args(ProtocolName))
    assert set(SPOKEN) == names == set(PROTOCOLS)
    assert {scheme.protocol for scheme in SCHEMES.values()} | {"tls", "https"} >= names - {"https"}


@pytest.mark.parametrize("name", ALIVE)
@pytest.mark.parametrize("cut", [None, 1, 7])
def test_a_server_that_answers_lives_however_its_answer_is_cut(name: str, cut: int | None) -> None:
    case = ALIVE[name]
    tested, sent = run(case, cut=cut)
    assert (tested.is_over, tested.fault) == (True, "")
    assert tested.received == sum(map(len, case.answers))
    # every answer but the last one is followed by something to say, else the server would wait for ever
    assert all(sent[:-1])


@pytest.mark.parametrize("name", ALIVE)
def test_to_read_to_the_end_it_hangs_up_after_a_whole_answer_and_not_before(name: str) -> None:
    case = ALIVE[name]
    early, _ = run(Case(case.protocol, (*case.answers[:-1], case.answers[-1][:3])), reads_to_end=True)
    assert not early.hangs_up
    tested, _ = run(case, reads_to_end=True)
    assert (tested.hangs_up, tested.is_over, tested.fault) == (True, False, "")


@pytest.mark.parametrize("name", ALIVE)
def test_an_answer_that_is_cut_anywhere_is_not_whole(name: str) -> None:
    case = ALIVE[name]
    last = case.answers[-1]
    for end in range(len(last)):
        tested, _ = run(Case(case.protocol, (*case.answers[:-1], last[:end])))
        if tested.is_over:  # what follows is not waited for
            assert name in ("postgres lets anyone in", "tls alert", "postgres with TLS that does not suit"), end
            continue
        assert tested.fault, end
        assert not tested.hangs_up


@pytest.mark.parametrize("name", UNWELL)
@pytest.mark.parametrize("cut", [None, 1])
def test_a_server_that_refuses_everyone_is_not_well(name: str, cut: int | None) -> None:
    tested, _ = run(UNWELL[name], cut=cut)
    assert (tested.is_over or name == "http that is broken", tested.fault) == (True, UNWELL[name].fault)
    assert not tested.hangs_up or name == "http that is broken"


SPEAKING = sorted(set(get_args(ProtocolName)) - {"tcp"})


@pytest.mark.parametrize("protocol", SPEAKING)
def test_closed_without_a_byte_is_said(protocol: ProtocolName) -> None:
    assert probe(protocol).fault == "closed without an answer"


@pytest.mark.parametrize("protocol", sorted(set(SPEAKING) - {"http"}))
def test_a_web_server_is_told_by_its_name(protocol: ProtocolName) -> None:
    tested = probe(protocol)
    tested.feed(HTTP_ANSWER)
    assert tested.is_over
    assert tested.fault == f"not {TITLES[protocol]}: the answer begins with HTTP/1.1"


@pytest.mark.parametrize("protocol", sorted(set(SPEAKING) - {"tls", "https"}))
def test_a_server_that_wants_tls_is_told(protocol: ProtocolName) -> None:
    tested = probe(protocol)
    tested.feed(TLS_ALERT * 3)
    assert tested.is_over
    assert tested.fault.startswith("asks for TLS")


@pytest.mark.parametrize("protocol", SPEAKING)
@pytest.mark.parametrize(
    ("banner", "said"),
    [
        (SSH_BANNER, "begins with SSH-2.0-OpenSSH_"),
        (MY_GREETING, "is a greeting of MySQL"),
        (b"\x00\x01\x02\x03" * 6, "begins with the bytes 00 01 02 03 00 01 02 03"),
    ],
    ids=["ssh", "mysql", "bytes"],
)
def test_another_protocol_is_said_in_plain_english(protocol: ProtocolName, banner: bytes, said: str) -> None:
    if protocol == "mysql" and banner == MY_GREETING:
        return
    tested = probe(protocol)
    tested.feed(banner)
    assert tested.is_over
    assert tested.fault == f"not {TITLES[protocol]}: the answer {said}"


@given(st.sampled_from(sorted(get_args(ProtocolName))), st.lists(st.binary(max_size=60), max_size=8), st.booleans())
def test_nonsense_breaks_no_probe(protocol: ProtocolName, pieces: list[bytes], reads_to_end: bool) -> None:
    tested = probe(protocol, reads_to_end=reads_to_end)
    for piece in pieces:
        tested.feed(piece)
        if tested.is_over:
            break
    assert isinstance(tested.fault, str)
    assert len(tested.fault) < 300
    assert tested.fault.isprintable()
    assert not (tested.is_over and tested.hangs_up)


@given(st.sampled_from(sorted(ALIVE)), st.data())
def test_a_changed_byte_breaks_no_probe(name: str, data: st.DataObject) -> None:
    answers = [bytearray(answer) for answer in ALIVE[name].answers]
    chosen = data.draw(st.sampled_from(answers))
    chosen[data.draw(st.integers(0, len(chosen) - 1))] = data.draw(st.integers(0, 255))
    tested, _ = run(Case(ALIVE[name].protocol, tuple(map(bytes, answers))))
    assert tested.fault.isprintable()


def test_mysql_answers_with_the_next_number_and_leaves_as_the_protocol_asks() -> None:
    _, sent = run(ALIVE["mysql switches, then denies"])
    assert [said[3:4] for said in sent[:2]] == [b"\x01", b"\x03"]
    assert sent[0][4 + 32 :].startswith(b"tailgate\0\0")
    assert sent[1][4:] == b"\0"
    _, sent = run(ALIVE["mysql lets anyone in"])
    assert sent[-1] == b"\x01\0\0\0\x01"


def test_nothing_is_sent_that_a_tls_server_could_take_for_a_start_before_postgres_agrees() -> None:
    tested = probe("postgres")
    assert tested.request == struct.pack("!II", 8, 80877103)
    hello = tested.feed(b"S")
    assert hello[:2] == b"\x16\x03"
    assert b"tailgate" not in hello
    assert b"db.example" in hello


def test_a_byte_behind_the_answer_to_the_request_for_tls_is_refused() -> None:
    tested = probe("postgres")
    assert tested.feed(b"S" + TLS_ALERT) == b""
    assert tested.fault.startswith("not PostgreSQL")


def test_tcp_sends_nothing_and_takes_silence_or_any_byte_for_life() -> None:
    tested = probe("tcp", reads_to_end=True)
    assert (tested.request, tested.fault, tested.quiet_ms) == (b"", "closed at once", 250.0)
    tested.fall_quiet()
    assert (tested.fault, tested.hangs_up, tested.quiet_ms) == ("", True, None)
    spoken = probe("tcp")
    spoken.feed(b"2")
    assert (spoken.fault, spoken.is_over) == ("", True)


@pytest.mark.parametrize(
    "name",
    [
        "postgres asks for a password",
        "mysql denies",
        "redis repeats",
        "kafka",
        "amqp",
        "grpc",
        "tls alert",
        "http of any status below 500",
    ],
)
def test_a_canary_sends_at_least_what_its_traits_say(name: str) -> None:
    case = ALIVE[name]
    sent = len(probe(case.protocol).request) + sum(map(len, run(case)[1]))
    assert sent >= canary_size(case.protocol).sent


@pytest.mark.parametrize("name", ["postgres asks for a password", "mysql denies", "redis repeats", "amqp", "grpc"])
def test_the_least_answer_is_no_more_than_a_server_of_the_protocol_gives(name: str) -> None:
    assert sum(map(len, ALIVE[name].answers)) >= canary_size(ALIVE[name].protocol).least


def test_where_there_is_a_password_only_the_refusal_is_counted_on() -> None:
    refused = b"-NOAUTH Authentication required.\r\n"
    assert canary_size("redis", has_password=True).least <= len(refused) < canary_size("redis").least
    assert canary_size("mysql", has_password=True) == canary_size("mysql")


def test_behind_tls_the_canary_sees_the_handshake_only() -> None:
    assert {name: SCHEMES[name].canary for name in ("rediss", "amqps", "grpcs", "https")} == dict.fromkeys(
        ("rediss", "amqps", "grpcs", "https"), "tls"
    )
    assert SCHEMES["postgresql"].canary == "postgres"


def test_a_real_server_is_asked_seldom_and_a_fake_often() -> None:
    fake = make_plan().upstream("azure")
    assert [canary_pause_s(fake, in_fault=in_fault) for in_fault in (True, False)] == [0.5, 0.5]
    assert [canary_pause_s(upstream("redis"), in_fault=in_fault) for in_fault in (True, False)] == [2.0, 10.0]
