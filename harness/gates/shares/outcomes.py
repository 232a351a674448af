"""The outcomes that a gate on failed requests counts, by the word that names them. It decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.rundir.rows import ERRORS, Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence, Window
    from harness.gates.exceedance import Bad

BAD_OUTCOMES: Final[dict[str, tuple[Outcome, ...]]] = {
    "errors": ERRORS,
    "timeouts": (Outcome.GATEWAY_TIMEOUT, Outcome.CLIENT_TIMEOUT),
    **{outcome.name.lower(): (outcome,) for outcome in ERRORS},
}
_DID: Final = {
    "errors": "did not end ok",
    "timeouts": "timed out",
    "dropped": "found no free slot and were dropped",
    "unfinished": "were still open when the drain ended",
}


def did(metric: str) -> str:
    """The predicate of a sentence about the requests that `metric` counts: `did not end ok`."""
    return _DID.get(metric, f"ended as {metric}")


def counted(metric: str) -> Bad:
    """For each request of a window, whether `metric` counts it."""
    import numpy as np

    among = np.zeros(256, np.bool_)
    among[list(BAD_OUTCOMES[metric])] = True

    def bad(_run: Evidence, window: Window) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = among[window.samples["outcome"]]
        return chosen

    return bad
