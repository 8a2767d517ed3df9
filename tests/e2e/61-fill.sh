#!/usr/bin/env bash
# limit: 600 s
# Full disks. Each authority's home in turn lies on an ext4 file system of 32 MiB, which is filled, wholly or nearly, before
# or during an exchange: nothing is acknowledged that is not held, the daemon stays and says what is wrong, its log still
# takes statements from the space set aside for it, and what was acknowledged is handed over once space is freed.
# Needs root and loop devices. faults/fill.py has the details.
#
#   FILLS   how many points of each side [default: 50]
#   SEED    replays the choices of an earlier run (not its timing)
RESERVE="4 MiB"
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults/lib.sh"

FILLS=${FILLS:-50}
SEED=${SEED:-$SRANDOM}
ROUND=25 # points on one file system: what arrived stays there
echo "  seed $SEED"
need_root

JOBS=()
for side in de ie; do
    for ((round = 0; round * ROUND < FILLS; round++)); do
        ext4_disk "$WORK/$side.$round/$side" 32 -N 512
        pair_in "$WORK/$side.$round" # one after the other: each draws free ports
    done
done
for side in de ie; do
    for ((round = 0; round * ROUND < FILLS; round++)); do
        left=$((FILLS - round * ROUND))
        campaign "$WORK/$side.$round" fill.py "$side" "$((SEED + round))" "$((left < ROUND ? left : ROUND))" &
        JOBS+=("$!")
    done
done
failed=0
for job in "${JOBS[@]}"; do
    wait "$job" || failed=1
done
[ "$failed" -eq 0 ] || fail "with a full disk"
read -r points accepted refused stated < <(cat "$WORK"/*/figures.* | awk '{ p += $1; a += $2; r += $3; s += $4 } END { print p, a, r, s }')
CHECKS=$((CHECKS + points))
equal "points at which a disk was filled" $((2 * FILLS)) "$points"
echo "$SCRIPT: figures: seed $SEED, $points fill points, $accepted packages acknowledged, $refused refused, $stated statements" \
    "logged on a full disk, false acknowledgements 0"
