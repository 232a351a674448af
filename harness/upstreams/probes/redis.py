"""The probe of Redis: PING with bytes that the server repeats, so that a narrow bandwidth shows.

A server that wants a password first (NOAUTH), or that does not let strangers ping (NOPERM), lives. One that loads its
data, or refuses this address (DENIED), or is full, would refuse the service too.
"""

from __future__ import annotations

from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import not_the
from harness.upstreams.probes.talk import Talk, Talking

REPEATED: Final = b"tailgate" * 512
REQUEST: Final = b"*2\r\n$4\r\nPING\r\n$%d\r\n%b\r\n" % (len(REPEATED), REPEATED)
_LINE_MOST: Final = 4 * 1024
_CODE_MOST: Final = 32
_ALIVE: Final = ("NOAUTH", "NOPERM")
_REASONS: Final = {
    "DENIED": "it is in protected mode and refuses this address",
    "LOADING": "it is loading its data",
}


def ask_redis(talk: Talk, _upstream: PlannedUpstream) -> Talking[str]:
    talk.say(REQUEST)
    kind = yield from talk.take(1)
    if kind == b"$":
        size = yield from talk.take_line(_CODE_MOST)
        if size == b"%d" % len(REPEATED) and (yield from talk.take(len(REPEATED) + 2)) == REPEATED + b"\r\n":
            return ""
    elif kind == b"+":
        if (yield from talk.take_line(_LINE_MOST)) == b"PONG":
            return ""
    elif kind == b"-":
        line = yield from talk.take_line(_LINE_MOST)
        code = line.split(b" ", 1)[0][:_CODE_MOST]
        if code.isalpha() and code.isupper():
            return _refusal(code.decode("ascii"))
    return not_the("Redis", talk.start)


def _refusal(code: str) -> str:
    if code in _ALIVE:
        return ""
    reason = _REASONS.get(code)
    return f"answers PING with the error {code}" + (f": {reason}" if reason else "")
