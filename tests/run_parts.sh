#!/bin/sh
# Every test but the nightly ones, in parts, and how long each part took. A part runs even if one before it failed.
# Called by `make test`; BIN is the folder of the virtual environment's programs.
#
# checks   static checks, then
# pure     a process for each core. Both depend on no time, so they take at low priority what `waiting` leaves of the
#          processor. What they say is shown when they are over.
# waiting  real processes that mostly wait for each other: four tests at once, three on a slow machine.
# beside   programs that run for seconds and of which no time is judged: six tests at once, four on a slow machine.
# alone    what judges a service under load, measures, or looks at all that is left on the machine.
#
# Only `pure` imports every test file. The others import those that hold such tests (tests/conftest.py sees that none is
# missed).
set -u
BIN=${BIN:-.venv/bin}
failed=0
told=""
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now() {
  date +%s
}

tell() { # NAME SECONDS EXIT-CODE
  ended=passed
  [ "$3" -eq 0 ] || { ended=FAILED; failed=1; }
  told="$told$(printf '%-8s %3d min %02d s  %s' "$1" $(($2 / 60)) $(($2 % 60)) "$ended")
"
}

part() { # NAME COMMAND…
  name=$1
  shift
  began=$(now)
  "$@"
  code=$?
  tell "$name" $(($(now) - began)) $code
}

in_background() { # NAME COMMAND…
  name=$1
  shift
  began=$(now)
  nice -n 19 "$@" >"$kept/$name.log" 2>&1
  echo "$? $(($(now) - began))" >"$kept/$name.ended"
}

tell_of() { # NAME
  cat "$kept/$1.log"
  code=1 seconds=0
  read -r code seconds <"$kept/$1.ended"
  tell "$1" "$seconds" "$code"
}

# A slow machine, which needs more than 20 ms to start Python, gets fewer tests at once: else they only wait for a core.
start_ms=$("$BIN/python" - <<'END'
import statistics, subprocess, sys, time

def start_ms():
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return 1000 * (time.perf_counter() - began)

print(round(statistics.median(start_ms() for _ in range(9))))
END
)
waiting_at_once=4 beside_at_once=6
[ "$start_ms" -le 20 ] || { waiting_at_once=3; beside_at_once=4; }

all_began=$(now)
real=$(grep -rlE --include='test_*.py' 'pytest\.mark\.(stack|browser|alone)' tests)
(
  in_background checks "${MAKE:-make}" --no-print-directory check
  in_background pure "$BIN/python" -m pytest -n auto -m "not nightly and not stack and not browser and not alone"
) 2>/dev/null & # where the tests are interrupted, its folder is gone
# shellcheck disable=SC2086 # words are wanted: names of test files hold no spaces
part waiting "$BIN/python" -m pytest -n $waiting_at_once --dist loadgroup -m "(stack or browser) and not beside and not nightly and not alone" $real
wait
tell_of checks
tell_of pure
# shellcheck disable=SC2086
part beside "$BIN/python" -m pytest -n $beside_at_once --dist loadgroup -m "beside and not nightly and not alone" $real
# shellcheck disable=SC2086
part alone "$BIN/python" -m pytest -m "alone and not nightly" $real
tell all $(($(now) - all_began)) $failed
printf '\nPython starts in %s ms; %s and %s tests at once\n%s' "$start_ms" "$waiting_at_once" "$beside_at_once" "$told"
exit $failed
