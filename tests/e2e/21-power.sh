#!/usr/bin/env bash
# limit: 900 s
# Power cuts. Each authority's home in turn lies on an ext4 file system of its own, whose power goes (EXT4_IOC_SHUTDOWN,
# the journal not flushed) before a chosen write, flush, rename or removal of its daemon, which is killed then. After the
# journal is replayed it must serve, hold everything that it had acknowledged, and bring the exchange to its end.
# Needs root and loop devices. faults/power.py has the details, faults/point.c the counting.
#
#   POWER   `all`: a cut at every call, both sides, three sizes [default: every call of the receiver, the rest sampled]
#   SEED    replays the choices of an earlier run (not its timing)
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/faults/lib.sh"

SEED=${SEED:-$SRANDOM}
SMALL=10000 STREAMED=3000000 LARGE=12000000
DISK_MIB=2000 # what arrived stays there
case ${POWER:-} in
    all)
        DISK_MIB=16000
        RECEIVER=("sweep:$SMALL" "sweep:$STREAMED" "sweep:$LARGE" "sample:$LARGE:200" "stale:$SMALL:50" "stale:$STREAMED:50")
        SENDER=("${RECEIVER[@]}")
        ;;
    *)
        RECEIVER=("sweep:$STREAMED" "sample:$SMALL:8" "sample:$LARGE:4" "stale:$SMALL:5")
        SENDER=("sample:$SMALL:25" "sample:$STREAMED:35" "sample:$LARGE:4" "stale:$STREAMED:5")
        ;;
esac
echo "  seed $SEED"
need_root

# prepare SIDE NAME: a pair in the folder NAME, the home of SIDE on ext4
declare -A DISKS
prepare() {
    ext4_disk "$WORK/$2/$1" "$DISK_MIB"
    DISKS[$2]=$DISK
    pair_in "$WORK/$2"
}

# series SIDE NAME PART…
series() {
    local side=$1 name=$2
    shift 2
    campaign "$WORK/$name" power.py "$side" "${DISKS[$name]}" "$SEED" "$@" || return 1
}

# clean SIDE NAME: the file system is as it must be
clean() {
    umount "$WORK/$2/$1"
    e2fsck -fn "${DISKS[$2]}" >"$WORK/fsck.log" 2>&1 || fail "e2fsck: $(tail -n 3 "$WORK/fsck.log")"
    ok "e2fsck finds nothing wrong with the disk of $1"
}

prepare de de.cut
prepare ie ie.cut
prepare de lying
series de de.cut "${RECEIVER[@]}" &
first=$!
second=0
series ie ie.cut "${SENDER[@]}" || second=$?
wait "$first" || fail "with the receiver's power cut"
[ "$second" -eq 0 ] || fail "with the sender's power cut"
clean de de.cut
clean ie ie.cut
series de lying lying:60 2>/dev/null || fail "a disk that does not flush goes unnoticed"
read -r de_cuts de_there <"$WORK/de.cut/figures.de"
read -r ie_cuts ie_there <"$WORK/ie.cut/figures.ie"
[ "$de_cuts" -gt 0 ] && [ "$ie_cuts" -gt 0 ] || fail "no cut on one side"
CHECKS=$((CHECKS + de_cuts + ie_cuts))
echo "$SCRIPT: figures: seed $SEED, $((de_cuts + ie_cuts)) power cuts (receiver $de_cuts, sender $ie_cuts)," \
    "$((de_there + ie_there)) acknowledged packages, violations 0"
