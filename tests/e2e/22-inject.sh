#!/usr/bin/env bash
# limit: 900 s
# Calls that fail. A flush, write, creation, renaming or removal in the state directory of either daemon fails with EIO:
# it must end with exit code 11, say why, not flush that file again, and finish the exchange once it is started again.
# With ENOSPC it must stay, acknowledge nothing that it does not hold, and go on by itself. A write that takes only half
# of its bytes must not be noticed. Needs root (strace). faults/inject.py has the details, faults/point.c the calls.
#
#   INJECT   `all`: every call [default: every flush and name, the writes sampled]
#   SEED     replays the choices of an earlier run (not its timing)
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults/lib.sh"

SEED=${SEED:-$SRANDOM}
SMALL=10000 STREAMED=3000000
COMMON=("seen:$STREAMED" "strace:$STREAMED:all")
for size in $SMALL $STREAMED; do
    COMMON+=("eio:flush:$size:all" "eio:name:$size:all" "full:name:$size:all")
    case ${INJECT:-} in
        all) COMMON+=("eio:write:$size:all" "full:write:$size:all" "short:$size:all") ;;
        *) COMMON+=("eio:write:$size:80:12" "full:write:$size:80:15" "short:$size:80:10") ;;
    esac
done
echo "  seed $SEED"
need_root
python3 "$HERE/strace.py" || fail "what strace writes is misread"

for side in de ie; do
    pair_in "$WORK/$side.fault"
done
campaign "$WORK/de.fault" inject.py de "$SEED" "${COMMON[@]}" &
first=$!
second=0
campaign "$WORK/ie.fault" inject.py ie "$SEED" "${COMMON[@]}" || second=$?
wait "$first" || fail "with calls of the receiver that fail"
[ "$second" -eq 0 ] || fail "with calls of the sender that fail"
read -r de_made de_ended de_there <"$WORK/de.fault/figures.de"
read -r ie_made ie_ended ie_there <"$WORK/ie.fault/figures.ie"
CHECKS=$((CHECKS + de_made + ie_made))
echo "$SCRIPT: figures: seed $SEED, $((de_made + ie_made)) injections (receiver $de_made, sender $ie_made)," \
    "$((de_ended + ie_ended)) ends with exit code 11, $((de_there + ie_there)) acknowledged packages, violations 0"
