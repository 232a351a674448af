"""The upstreams that the service named. `recorded` reads them, `baseline` says what is named anyway, `results` counts.

Facts only: `harness.gates.detection` judges them, `reports.detections` puts them into words.
"""
