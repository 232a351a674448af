"""The policies (remedies), one a file, each short enough to be copied into another service.

    parallel       ask all backends at once                        else: sequential, one after the other
    threads        blocking calls in one pool of threads           else: calls that an async client makes
    deadline       give up on a backend that takes too long        else: wait for as long as it takes
    pushdown       ask only the backends a request names           else: ask all, drop the rest afterwards
    unavailable    503 where nothing at all can be had             else: 200 with an empty list
    budget         one deadline for the whole request, passed down  else: no call knows when the gateway gives up
    bulkhead       so many calls to a backend at once, no more     else: as many as come
    breaker        leave a failing backend alone for a while       else: ask it every time
    single_flight  work once for identical questions               else: for each of them
    stale          last known offers where there are none now      else: nothing of that backend

A policy is independent of the others, so each can be added or switched off alone. `threads` is no remedy: it is the
obvious fix that does not help.
"""

from typing import Final

POLICIES: Final = (
    "parallel",
    "threads",
    "deadline",
    "unavailable",
    "pushdown",
    "budget",
    "bulkhead",
    "breaker",
    "single_flight",
    "stale",
)
