#!/bin/sh
# Every test but the nightly ones, in parts, and how long each part took. A part runs even if one before it failed.
# Called by `make test`; BIN is the folder of the virtual environment's programs.
#
# pure     a process for each core.
# waiting  real processes, which wait most of the time: more tests at once than there are cores.
# alone    what judges a service under load, measures, or looks at all that is left on the machine.
# Only `pure` imports every file; the others those that hold such tests (tests/conftest.py sees that none is missed).
set -u
BIN=${BIN:-.venv/bin}
failed=0
told=""

part() {
  name=$1
  shift
  began=$(date +%s)
  if "$@"; then ended=passed; else ended=FAILED; failed=1; fi
  seconds=$(($(date +%s) - began))
  told="$told$(printf '%-8s %3d min %02d s  %s' "$name" $((seconds / 60)) $((seconds % 60)) "$ended")
"
}

real=$(grep -lE 'pytest\.mark\.(stack|browser|alone)' tests/*/test_*.py)
part checks "${MAKE:-make}" --no-print-directory check
part pure "$BIN/python" -m pytest -n auto -m "not nightly and not stack and not browser and not alone"
part waiting "$BIN/python" -m pytest -n 4 --dist loadgroup -m "(stack or browser) and not nightly and not alone" $real
part alone "$BIN/python" -m pytest -m "alone and not nightly" $real
printf '\n%s' "$told"
exit $failed
