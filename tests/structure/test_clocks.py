"""No decision rests on the clock on the wall: it is read in the few named places, for people and for records only."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("harness", "scenarios", "fake_backends", "aggregator", "reports")
WALL = re.compile(
    r"time\.time(_ns)?\(|\b(time|time_ns)\(\)|datetime\.(now|today|utcnow)\(|date\.today\(|time\.(localtime|gmtime|ctime)\("
)
ALLOWED = {
    "fake_backends/tls/run_ca.py": "from when to when a certificate is valid, which is a date",
    "harness/run/run_id.py": "a run's id, which is its start for people",
    "harness/stack/run_state.py": "started_at, and the offset by which monotonic times become dates",
}


def _readings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if WALL.search(line.partition("#")[0]):
                    found.setdefault(str(path.relative_to(ROOT)), []).append(f"{number}: {line.strip()}")
    return found


def test_only_named_places_read_the_wall_clock() -> None:
    found = _readings()
    assert {place: lines for place, lines in found.items() if place not in ALLOWED} == {}
    assert set(found) == set(ALLOWED), "an allowance that nobody uses any more"


def test_the_pattern_sees_a_reading() -> None:
    for line in ("x = time.time()", "n = time.time_ns()", "d = datetime.now(UTC)", "if time() > end:"):
        assert WALL.search(line), line
    for line in ("time.monotonic()", "time.monotonic_ns()", "self.time_ms()", "asyncio.timeout(3)"):
        assert not WALL.search(line), line
