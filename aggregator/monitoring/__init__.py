"""Monitoring of the service: metrics, logs in JSON, and for each backend a monitor that reports when it is degraded.

metrics    Prometheus metrics, all of them in one registry of the service's own
logs       JSON lines that name the backend at fault, thinned out under failure
baseline   what is normal for one backend
monitor    reports when a backend becomes degraded, and when it is normal again
watch      puts a monitor around the calls that are made to a backend
"""

from aggregator.monitoring.logs import FaultLog, log, log_to_stderr
from aggregator.monitoring.metrics import Metrics
from aggregator.monitoring.watch import Watch

__all__ = ["FaultLog", "Metrics", "Watch", "log", "log_to_stderr"]
