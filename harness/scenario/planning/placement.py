"""Where the listener and the origin of an upstream are, as tailgate and the service reach them. Pure."""

from __future__ import annotations

from harness.rundir.planned.toxiproxy_network import ToxiproxyNetwork
from harness.rundir.planned.upstream import PlannedUpstream


def placed(planned: PlannedUpstream, network: ToxiproxyNetwork) -> PlannedUpstream:
    """The upstream with the hosts that the network asks for. A borrowed proxy stays where its server says it is.

    What is in the fakes' process is moved to the address by which Toxiproxy reaches this machine, if the scenario says
    one; it is reached there by us as well.
    """
    if planned.borrowed is not None:
        return planned
    moved = {"listener": planned.listener.model_copy(update={"host": network.reach})}
    if (planned.answers_http or planned.stream) and network.own_address is not None:
        moved["origin"] = planned.origin.model_copy(update={"host": network.own_address})
    return planned.model_copy(update=moved)
