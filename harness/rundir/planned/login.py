"""How a load signs in: the request of a login, what is saved of its answer, and how many sessions there are."""

from __future__ import annotations

from typing import Final

from harness.model.frozen import Frozen

LOGIN_WITHIN_S: Final = 60.0
"""How long all logins before the load may take together."""
AT_ONCE: Final = 10
"""How many of them are under way at once in one worker."""


TOKENS_FD_VARIABLE: Final = "TAILGATE_TOKENS_FD"
"""The variable that gives a worker its end of the pipe by which it reports what logins saved."""


class PlannedLogin(Frozen):
    """`${VAR}` in its texts is not expanded yet. `{column}` is filled in from the row of its session."""

    method: str
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
    expect_status: tuple[tuple[int, int], ...] | None = None
    expect_contains: str | None = None
    expect_lacks: str | None = None
    save: dict[str, str]
    """JMESPath expressions by the names under which requests use what they find."""
    users: int
    """How many sessions there are, over all workers."""
    every_ms: float | None = None
    """How long after it began a session is renewed. None: never."""
    by_row: bool = False
    """Its texts have columns of the data file. Session n takes row n then, and so do the requests that it is used
    for."""
