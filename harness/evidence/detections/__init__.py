"""Detections: the upstreams that the service's log or alert named. `recorded` reads them, `baseline` tells which of
them also occur without the fault, `results` summarises them for results.json.

Nothing is judged here: `harness.gates.detection` judges detections, `reports.detections` words them.
"""
