#!/bin/sh
# Every test but the nightly ones, in parts, and how long each part took. A part runs even if one before it failed.
# Called by `make test`; BIN is the folder of the virtual environment's programs.
#
# checks   what needs one core most of the time, beside the pure tests. It is shown when they are over.
# pure     a process for each core.
# waiting  real processes, which wait most of the time: more tests at once than there are cores.
# alone    what judges a service under load, measures, or looks at all that is left on the machine.
#
# Only `pure` imports every test file; the others import those that hold such tests (tests/conftest.py sees that none is
# missed).
set -u
BIN=${BIN:-.venv/bin}
failed=0
told=""
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

tell() { # NAME SECONDS EXIT-CODE
  ended=passed
  [ "$3" -eq 0 ] || { ended=FAILED; failed=1; }
  told="$told$(printf '%-8s %3d min %02d s  %s' "$1" $(($2 / 60)) $(($2 % 60)) "$ended")
"
}

part() { # NAME COMMAND…
  name=$1
  shift
  began=$(date +%s)
  "$@"
  code=$?
  tell "$name" $(($(date +%s) - began)) $code
}

all_began=$(date +%s)
real=$(grep -rlE --include='test_*.py' 'pytest\.mark\.(stack|browser|alone)' tests)
(
  "${MAKE:-make}" --no-print-directory check >"$kept/log" 2>&1
  echo "$? $(date +%s)" >"$kept/ended" 2>/dev/null # no folder: the tests were interrupted
) &
part pure "$BIN/python" -m pytest -n auto -m "not nightly and not stack and not browser and not alone"
wait
cat "$kept/log"
read -r code at <"$kept/ended"
tell checks $((at - all_began)) "$code"
# shellcheck disable=SC2086 # words are wanted: names of test files hold no spaces
part waiting "$BIN/python" -m pytest -n 4 --dist loadgroup -m "(stack or browser) and not nightly and not alone" $real
# shellcheck disable=SC2086
part alone "$BIN/python" -m pytest -m "alone and not nightly" $real
tell all $(($(date +%s) - all_began)) $failed
printf '\n%s' "$told"
exit $failed
