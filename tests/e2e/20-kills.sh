#!/usr/bin/env bash
# limit: 900 s
# kill -9 of either daemon at random moments while packages of several sizes are on their way: nothing acknowledged is
# lost, doubled or damaged, at most 64 MiB go over the wire twice, and the daemon serves again within a second.
# faults/kills.py has the details.
#
#   KILLS      how many kills must fall into a transfer [default: 200]
#   KILL_MIB   size of the package that is in flight in every twentieth round, in MiB; 1 to 8 in the others [default: 96]
#   SEED       replays the choices of an earlier run (not its timing)
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults/lib.sh"

KILLS=${KILLS:-200}
KILL_MIB=${KILL_MIB:-96}
SEED=${SEED:-$SRANDOM}
echo "  seed $SEED, $KILLS kills"
enough_disk $((KILL_MIB * KILLS / 20 * 2 / 1024 + KILLS * 16 / 1024 + 4))

pair_in "$WORK/both"
campaign "$WORK/both" kills.py "$SEED" "$KILLS" $((KILL_MIB << 20)) || fail "after a kill"
CHECKS=$((CHECKS + KILLS))
echo "$SCRIPT: figures: seed $SEED, $(cat "$WORK/both/figures")"
