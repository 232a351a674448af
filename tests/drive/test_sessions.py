"""The sessions of a worker: shared in turn, renewed one at a time on a clock of the test's."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.rundir.planned.login import PlannedLogin
from harness.rundir.sessions.login_record import LoginRecord, read_logins, together
from scenarios.drive.login.login_answer import LoginFailed
from scenarios.drive.login.sessions import Sessions, numbers_of, renew_forever

S = 1_000_000_000


class Server:
    """Signs in: each login of a session gets a new token. `broken`: it answers 503."""

    def __init__(self) -> None:
        self.logins: Counter[int] = Counter()
        self.broken = False

    def sign_in(self, session: int) -> dict[str, str]:
        self.logins[session] += 1
        if self.broken:
            raise LoginFailed("was answered 503: busy", "wait")
        return {"token": f"{session}-{self.logins[session]}"}


def sessions_of(
    server: Server, users: int = 4, every_ms: float | None = None, workers: int = 1, index: int = 0
) -> Sessions:
    login = PlannedLogin(method="POST", path="/", save={"token": "t"}, users=users, every_ms=every_ms)
    found = Sessions(login, numbers_of(users, workers, index), workers, server.sign_in)
    for place in range(len(found)):
        found.open(place)
    found.opened(0)
    return found


class Clock:
    def __init__(self, until_s: float) -> None:
        self.now = 0
        self.until = until_s * S
        self.slept: list[float] = []

    def now_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * S)
        if self.now >= self.until:
            raise TimeoutError


def test_arrivals_take_the_sessions_in_turn() -> None:
    found = sessions_of(Server(), users=3)
    assert [found.of(seq).values["token"] for seq in range(5)] == ["0-1", "1-1", "2-1", "0-1", "1-1"]


def test_workers_share_the_sessions_and_every_arrival_has_one() -> None:
    server = Server()
    workers = [sessions_of(server, users=5, workers=2, index=index) for index in range(2)]
    assert [workers[seq % 2].of(seq).number for seq in range(10)] == [0, 1, 2, 3, 4, 1, 0, 3, 2, 1]
    assert server.logins == Counter(range(5))


@pytest.mark.parametrize(("users", "workers", "found"), [(1, 3, [(0,), (0,), (0,)]), (4, 3, [(0, 3), (1,), (2,)])])
def test_a_worker_has_at_least_one_session(users: int, workers: int, found: list[tuple[int, ...]]) -> None:
    assert [numbers_of(users, workers, index) for index in range(workers)] == found


def test_renewals_are_spread_and_each_session_has_its_turn() -> None:
    server = Server()
    found = sessions_of(server, users=4, every_ms=8_000)
    assert found.next_renewal_ns() == 2 * S
    clock = Clock(until_s=17)
    with pytest.raises(TimeoutError):
        renew_forever(found, clock.now_ns, clock.sleep)
    assert server.logins == Counter({0: 3, 1: 3, 2: 3, 3: 3})
    assert found.record == LoginRecord(sessions=4, renewals=8)
    assert max(clock.slept) <= 0.2


def test_without_a_renewal_there_is_none() -> None:
    found = sessions_of(Server())
    renew_forever(found, lambda: 0, lambda _: pytest.fail("it does not wait"))
    assert found.record == LoginRecord(sessions=4)


def test_a_renewal_that_fails_keeps_the_old_token_and_is_counted() -> None:
    server = Server()
    found = sessions_of(server, users=2, every_ms=10_000)
    server.broken = True
    found.renew_next()
    found.renew_next()
    server.broken = False
    found.renew_next()
    assert [found.of(seq).values["token"] for seq in (0, 1)] == ["0-3", "1-1"]
    assert found.record == LoginRecord(sessions=2, renewals=3, failed=2, reason="was answered 503: busy")
    assert found.record.notes() == (
        "2 of 3 renewals of the login failed, and the sessions kept what they had: the first was answered 503: busy",
    )
    assert LoginRecord(sessions=2, renewals=3).notes() == ()


def test_a_login_that_fails_at_first_is_passed_on() -> None:
    server = Server()
    server.broken = True
    with pytest.raises(LoginFailed):
        sessions_of(server)


def test_records_of_workers_and_runs_add_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("run")
    assert read_logins(folder, 2) is None
    LoginRecord(sessions=2, renewals=5).write(folder, 0)
    LoginRecord(sessions=1, renewals=4, failed=1, reason="x").write(folder, 1)
    both = LoginRecord(sessions=3, renewals=9, failed=1, reason="x")
    assert read_logins(folder, 2) == both
    (folder / "logins-0.json").write_text("damaged")
    assert read_logins(folder, 2) == LoginRecord(sessions=1, renewals=4, failed=1, reason="x")
    assert together([]) is None
