"""Scenarios: from a YAML file to models without problems, or to all problems at once."""

from __future__ import annotations

from harness.scenario.catalog import catalog_names, find_scenario
from harness.scenario.load import Cell, Loaded, load_scenario

__all__ = ["Cell", "Loaded", "catalog_names", "find_scenario", "load_scenario"]
