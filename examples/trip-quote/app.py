"""GET /quote?to=MUC: what flights, hotels and cars to a destination cost, from three partners at once.

Fees and currencies are in PostgreSQL, and cached in Redis for a second. Whoever does not answer in time is left out of
the quote: three of four is better than nothing. With TIMEOUTS=off the hotels are the exception, because somebody forgot
their timeout. The scenario beside this file finds that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiohttp
import psycopg
import psycopg_pool
import redis.asyncio
from fastapi import FastAPI, Header, HTTPException, Query
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

PARTNER_TIMEOUT_S = 1.0
DB_TIMEOUT_S = 0.5
CACHE_TIMEOUT_S = 0.2
CACHE_TTL_S = 1
HOTELS_TIMEOUT_S = None if os.environ.get("TIMEOUTS") == "off" else PARTNER_TIMEOUT_S
logging.basicConfig(format="%(levelname)s %(message)s")
log = logging.getLogger("trip_quote")

cache = redis.asyncio.Redis.from_url(
    os.environ["REDIS_URL"],
    socket_timeout=CACHE_TIMEOUT_S,
    socket_connect_timeout=CACHE_TIMEOUT_S,
    retry=Retry(NoBackoff(), 0),
)
db = psycopg_pool.AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=10, open=False)
last_known: dict[str, dict[str, Any]] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await db.open(wait=True, timeout=10)
    async with aiohttp.ClientSession(raise_for_status=True) as app.state.partners:
        yield
    await db.close()
    await cache.aclose()


app = FastAPI(title="trip quote", lifespan=lifespan)


@app.get("/healthz")
async def healthz() -> str:
    return "ok"


@app.get("/quote")
async def quote(
    to: Annotated[str, Query(pattern="^[A-Z]{3}$")], traceparent: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    terms, flights, hotels, cars = await asyncio.gather(
        terms_of(to),
        ask("flights", f"{os.environ['FLIGHTS_URL']}/v2/search?dest={to}", traceparent, PARTNER_TIMEOUT_S),
        ask("hotels", f"{os.environ['HOTELS_URL']}/hotels?city={to}", traceparent, HOTELS_TIMEOUT_S),
        ask("cars", f"{os.environ['CARS_URL']}/stations/{to}/cars", traceparent, PARTNER_TIMEOUT_S),
    )
    offers = {"flights": flights, "hotels": hotels, "cars": cars}
    found = {partner: offer for partner, offer in offers.items() if offer is not None}
    if not found:
        raise HTTPException(503, "no partner answered")
    return {"to": to, **terms, "partners": list(found), "offers": found}


async def ask(partner: str, url: str, traceparent: str | None, timeout_s: float | None) -> Any:
    """What a partner answers, or None. The limit is for the whole call, not for one read."""
    # a tracing library would pass traceparent on by itself
    headers = {"traceparent": traceparent} if traceparent else {}
    try:
        limit = aiohttp.ClientTimeout(total=timeout_s)
        async with app.state.partners.get(url, headers=headers, timeout=limit) as answer:
            return await answer.json()
    except (TimeoutError, aiohttp.ClientError, ValueError) as exc:
        log.warning("%s: %r", partner, exc)
        return None


async def terms_of(to: str) -> dict[str, Any]:
    """Currency and fee: from the cache, else the database, else as they were when it last answered."""
    try:
        if cached := await cache.get(f"terms:{to}"):
            fresh: dict[str, Any] = json.loads(cached)
            return fresh
    except redis.RedisError as exc:
        log.warning("cache: %r", exc)
    try:
        last_known[to] = await within(DB_TIMEOUT_S, terms_in_db(to))
    except (TimeoutError, psycopg.Error, psycopg_pool.PoolTimeout) as exc:
        log.warning("db: %r", exc)
    terms = last_known.get(to)
    if terms is None:
        raise HTTPException(503, "the terms are unknown, and the database does not answer")
    try:
        await cache.set(f"terms:{to}", json.dumps(terms), ex=CACHE_TTL_S)
    except redis.RedisError as exc:
        log.warning("cache: %r", exc)
    return terms


async def within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """Its result, or TimeoutError after so many seconds. Nobody waits for the end of work that was given up.

    asyncio.timeout would: psycopg, when it is cancelled, asks the server to cancel the query, and that is slow as well.
    """
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        raise TimeoutError
    return task.result()


async def terms_in_db(to: str) -> dict[str, Any]:
    async with db.connection() as connection:
        cursor = await connection.execute("SELECT currency, fee_cents FROM destinations WHERE code = %s", (to,))
        row = await cursor.fetchone()
    if row is None:
        raise HTTPException(404, f"no destination {to}")
    return {"currency": row[0], "fee_cents": row[1]}
