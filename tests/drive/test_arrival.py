"""The bookkeeping of an arrival: which rows it leaves, and counted from when."""

from __future__ import annotations

from harness.rundir.rows import Outcome
from scenarios.drive.arrival import Arrival, Exchange, RequestEnd, headers
from scenarios.drive.command import own_share

LOST = RequestEnd(Outcome.UNFINISHED)


def done(exchange: Exchange, at_ns: int, outcome: Outcome = Outcome.OK) -> None:
    exchange.done_ns = at_ns
    exchange.ending = RequestEnd(outcome, 200, 0b11, 64)


def test_the_first_request_counts_from_the_intended_time_and_the_next_from_when_it_is_sent() -> None:
    arrival = Arrival(5, intended_ns=100)
    done(arrival.begin(130), 200)
    done(arrival.begin(250), 300)
    assert [(*row[:3], row[4], row[11]) for row in arrival.rows(400, LOST)] == [
        (5, 100, 130, 200, 0),
        (5, 250, 250, 300, 1),
    ]


def test_a_request_that_overlaps_the_one_before_counts_from_its_own_start() -> None:
    arrival = Arrival(5, intended_ns=100)
    arrival.begin(130)
    arrival.begin(150)
    assert [row[1] for row in arrival.rows(400, LOST)] == [100, 150]


def test_an_open_request_ends_now_and_as_it_is_told() -> None:
    arrival = Arrival(5, intended_ns=100)
    done(arrival.begin(130), 200)
    arrival.begin(210)
    rows = arrival.rows(900, LOST)
    assert [(row[4], row[10]) for row in rows] == [(200, Outcome.OK), (900, Outcome.UNFINISHED)]


def test_an_arrival_without_a_request_has_a_row_all_the_same() -> None:
    (row,) = Arrival(5, intended_ns=100, request=3).rows(150, RequestEnd(Outcome.DROPPED, request=3))
    assert row == (5, 100, 150, 0, 150, 0, 0, 0, 3, 0, Outcome.DROPPED, 0)


def test_in_the_closed_model_the_first_request_is_its_own_intention() -> None:
    arrival = Arrival(5, intended_ns=None)
    done(arrival.begin(130), 200)
    assert arrival.rows(400, LOST)[0][1:5] == (130, 130, 0, 200)


def test_a_task_that_fails_spoils_its_last_good_answer_and_no_other() -> None:
    arrival = Arrival(5, intended_ns=100)
    done(arrival.begin(130), 200)
    done(arrival.begin(250), 300)
    arrival.spoil(Outcome.BAD_ANSWER)
    rows = arrival.rows(400, LOST)
    assert [(row[10], row[5]) for row in rows] == [(Outcome.OK, 0b11), (Outcome.BAD_ANSWER, 0)]


def test_a_task_that_fails_on_an_error_leaves_the_error() -> None:
    arrival = Arrival(5, intended_ns=100)
    done(arrival.begin(130), 200, Outcome.GATEWAY_TIMEOUT)
    arrival.spoil(Outcome.BAD_ANSWER)
    assert arrival.rows(400, LOST)[0][10] == Outcome.GATEWAY_TIMEOUT


def test_a_body_beyond_four_gigabytes_and_a_task_of_300_requests_fit_their_fields() -> None:
    arrival = Arrival(5, intended_ns=100)
    for _ in range(300):
        exchange = arrival.begin(130)
        exchange.done_ns = 140
        exchange.ending = RequestEnd(Outcome.OK, 200, 0, 2**40)
    last = arrival.rows(400, LOST)[-1]
    assert (last[6], last[11]) == (2**32 - 1, 255)


def test_both_headers_name_the_arrival() -> None:
    assert headers("00ff00ff00ff00ff", 9) == {
        "x-tailgate-seq": "9",
        "traceparent": "00-00ff00ff00ff00ff000000000000000a-000000000000000a-01",
    }


def test_shares_add_up() -> None:
    assert [own_share(7, 3, index) for index in range(3)] == [3, 2, 2]
