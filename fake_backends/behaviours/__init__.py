"""Where application-level faults will live, one a file: error shares, drip, truncation, cold start.

None is built yet. A behaviour's number goes into the `behaviour` field of a call's row; 0 means none.
"""
