#!/usr/bin/env bash
# limit: 600 s
# runs beside the others
# A package is destroyed, and its receiver is killed (SIGKILL) before each system call that changes the disk around that;
# then the state from before is restored, and killed at its start in the same way. Never is there a destroyed package
# without its entry in the journal after the next start, nor one that the journal names and somebody can read.
# faults/destroy.py has the details, faults/point.c the counting.
#
#   POINTS   at most so many calls of a destruction, for each of two sizes, then ten of what follows its commit [default: 40]
#   SEED     replays the choices of an earlier run (not its timing)
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults/lib.sh"

SEED=${SEED:-$SRANDOM}
echo "  seed $SEED"
cc -O2 -Wall -Wextra -Werror -fPIC -shared -o "$TOP/point.so" "$HERE/point.c" -ldl || fail "point.c cannot be compiled"
pair_in "$WORK/both"
campaign "$WORK/both" destroy.py "$SEED" "${POINTS:-40}" || fail "after a kill"
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/both/$side" fsck --json
    equal "not even something left over" 0 "$(jq -rs 'last | .findings | length' "$WORK/out")"
done
read -r kills held replays places <"$WORK/both/figures"
CHECKS=$((CHECKS + kills + replays))
echo "$SCRIPT: figures: seed $SEED, $kills kills around a destruction ($held before its commit), $replays at the start of a" \
    "restored state, violations 0; $places"
