"""The remedies, one a file, each short enough to be lifted into a service of one's own.

    parallel    ask all backends at once                     else: sequential, one after the other
    deadline    give up on a backend that takes too long     else: wait for as long as it takes
    pushdown    ask only the backends a request names        else: ask all, drop the rest afterwards

A policy is independent of the others, so that each can be switched off alone. Coming: what `threads`
and `isolated` need (see aggregator.rungs).
"""

from typing import Final

POLICIES: Final = ("parallel", "deadline", "pushdown")
