"""Pages: what is read of them and no more, what is refused, and how long a backend wants to be left alone."""

from __future__ import annotations

import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.backends import pages
from aggregator.backends.pages import BackendError, Page, Pages

NOW = "Tue, 24 Nov 2026 19:00:00 GMT"


def page(document: object, status: int = 200, **headers: str) -> Page:
    """One that is there as a whole."""
    read = Page(status, {name.replace("_", "-"): value for name, value in headers.items()})
    read.take(document if isinstance(document, bytes) else orjson.dumps(document))
    return read


def refused(*answers: Page) -> BackendError:
    book = Pages()
    with pytest.raises(BackendError) as caught:
        for answer in answers:
            book.add(answer)
    return caught.value


def nested(levels: int) -> bytes:
    """An offer with so many levels in it, itself one of them, lists and objects by turns."""
    opened = "".join("[" if level % 2 else '{"price": 1, "of": ' for level in range(levels))
    closed = "".join("]" if level % 2 else "}" for level in reversed(range(levels)))
    return f'{{"offers": [{{"price": 1}}, {opened}1{closed}]}}'.encode()


def test_an_offer_is_refused_before_it_is_too_deep_to_be_written_again() -> None:
    book = Pages()
    book.add(page(nested(pages.NESTING_MAX)))
    assert orjson.dumps(book.offers)
    for levels in (pages.NESTING_MAX + 1, 253, 1000):
        assert refused(page(nested(levels))).reason == "bad_answer"


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text('[]{}é\\" ,:1', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("[]{}a", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), values, max_size=3), max_size=4))
def test_whatever_else_is_in_an_offer_passes_through(rows: list[dict[str, object]]) -> None:
    offers = [{**row, "price": 1.0} for row in rows]
    book = Pages()
    book.add(page({"offers": offers}))
    assert book.offers == offers
    assert book.whole


@given(st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)), st.binary())
def test_a_body_is_read_or_refused(document: object, body: bytes) -> None:
    for answer in (body, json.dumps({"offers": document}).encode()):
        try:
            Pages().add(page(answer))
        except BackendError as error:
            assert error.reason == "bad_answer"


def test_a_cursor_is_bounded() -> None:
    book = Pages()
    book.add(page({"offers": [], "next_cursor": "é" * pages.CURSOR_LENGTH_MAX}))
    assert book.cursor == "é" * pages.CURSOR_LENGTH_MAX
    error = refused(page({"offers": [], "next_cursor": "é" * (pages.CURSOR_LENGTH_MAX + 1)}))
    assert error.reason == "bad_answer"


def test_a_page_is_given_up_as_soon_as_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 1000)
    read = Page(200, {"content-length": "1000"})
    read.take(b" " * 999)
    read.take(b" ")
    with pytest.raises(BackendError) as caught:
        read.take(b" ")
    assert caught.value.reason == "too_large"
    for length in ("1001", "9" * 5000):  # not one byte of it is waited for
        with pytest.raises(BackendError, match="more than 1000 bytes"):
            Page(200, {"content-length": length})


def test_a_failure_too_large_is_still_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 10)
    with pytest.raises(BackendError) as caught:
        page(b" " * 11, 503)
    assert caught.value.reason == "http_503"


def test_all_pages_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"offers": [{"price": 1}] * 3, "next_cursor": "on"}
    monkeypatch.setattr(pages, "OFFERS_MAX", 8)
    error = refused(page(part), page(part), page(part))
    assert (error.reason, str(error)) == ("too_large", "more than 8 offers")
    monkeypatch.undo()
    monkeypatch.setattr(pages, "ANSWER_BYTES_MAX", 2 * len(orjson.dumps(part)))
    error = refused(page(part), page(part), page(part))
    assert error.reason == "too_large"
    assert str(error).endswith("on 3 pages")


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (200, {"content_encoding": "gzip"}, "bad_answer"),
        (503, {"content_encoding": "gzip"}, "http_503"),
        (99, {}, "connection"),
        (1000, {}, "connection"),
    ],
)
def test_a_page_that_will_not_do_whatever_is_on_it(status: int, headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BackendError) as caught:
        page({"offers": []}, status, **headers).parsed()
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "120"}, 120),
        ({"retry_after": "Tue, 24 Nov 2026 19:01:30 GMT", "date": NOW}, 90),
        ({"retry_after": "Tue, 24 Nov 2026 18:00:00 GMT", "date": NOW}, 0),
        # neither at once nor at any time that is known
        ({"retry_after": "Tue, 24 Nov 2026 19:01:30 GMT"}, math.inf),
        ({"retry_after": "Tue, 99 Nov 2026 19:01:30 GMT", "date": NOW}, math.inf),
        ({"retry_after": "soon", "date": NOW}, math.inf),
        ({"retry_after": "1.5", "date": NOW}, math.inf),
        ({"retry_after": "-1", "date": NOW}, math.inf),
        ({"retry_after": "²", "date": NOW}, math.inf),
        ({"retry_after": "٣", "date": NOW}, math.inf),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_backends_own_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    error = refused(page(b"", 429, **headers))
    assert (error.reason, error.retry_after_s) == ("http_429", seconds)
