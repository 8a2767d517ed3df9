#!/usr/bin/env bash
# limit: 600 s
# runs beside the others
# Retention over ten years, with crashes. Two authorities live from 2027 to 2037 by libfaketime, in jumps around the last
# days of terms; packages are sent, held, restricted, taken back and destroyed, and either daemon is killed at system calls
# while it starts, sends, destroys or signs. After each jump nothing is overdue, nothing is destroyed early or twice, what
# lives opens, and no byte of a destroyed key or header is left. faults/decade.py has the details, faults/point.c the calls.
#
#   DECADES   how many campaigns [default: 2]
#   AT_ONCE   how many of them run side by side; mostly they wait [default: 6]
#   DAYS      days on which terms end, in each of them [default: 7]
#   SWEEPS    the share of destructions that is waited for; the others are ordered [default: 0.1]
#   SEED      replays the choices of an earlier run, as far as kills allow; campaign N has the seed SEED + N - 1
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults/lib.sh"

SEED=${SEED:-$SRANDOM}
DECADES=${DECADES:-2} AT_ONCE=${AT_ONCE:-6}
BEGIN=2027-01-04
echo "  seed $SEED, $DECADES campaigns"
need_root

campaigns=() failed=()

# ended NUMBER: waits for a campaign
ended() {
    wait "${campaigns[$1]}" || failed+=($((SEED + $1)))
}

for ((number = 0; number < DECADES; number++)); do
    [ "$number" -lt "$AT_ONCE" ] || ended $((number - AT_ONCE))
    # Both are made on their first day: what they sign from then on is dated later.
    later $((($(date -u -d $BEGIN +%s) - $(date -u +%s)) / 86400))
    library=$LD_PRELOAD
    pair_in "$WORK/$number"
    later
    sed -i 's|^\[retention\]$|[retention]\ndestroy = "automatic"|' "$WORK/$number/de/rogatory.toml"
    campaign "$WORK/$number" decade.py $((SEED + number)) "$library" $BEGIN "${DAYS:-7}" "${SWEEPS:-0.1}" &
    campaigns+=($!)
done
for ((number = DECADES > AT_ONCE ? DECADES - AT_ONCE : 0; number < DECADES; number++)); do
    ended "$number"
done
[ ${#failed[@]} -eq 0 ] || fail "a promise about retention was not kept: again with DECADES=1 and SEED one of ${failed[*]}"
CHECKS=$((CHECKS + DECADES))
for ((number = 0; number < DECADES; number++)); do
    echo "$SCRIPT: figures: seed $((SEED + number)), $(cat "$WORK/$number/figures")"
done
