#!/usr/bin/env bash
# limit: 300 s
# A line of 100 ms that loses packets: what the line's rate allows must arrive in at most three times that time. Large and
# small packages; the losses are the line's, the queue must not drop many more.
source "$(dirname "$0")/lib.sh"
source "$ROOT/tests/line/lib.sh"

MIB=32
RATE=50 # Mbit/s: both daemons and the line can carry it on a busy machine
line_or_skip
authorities_on_line

head -c $((MIB << 20)) /dev/urandom >"$WORK/large"
line_up rtt=100 rate=$RATE queue=100 loss=0.5 seed=65
serving
expect 0 "ie reaches de" r ie peer ping de
allowed=$((MIB * 8389 / RATE)) # 8.389 Mbit a MiB
for number in first second; do
    line_counts
    before=${COUNTS[in]} full=${COUNTS[full]} lost=${COUNTS[lost]}
    send_timed "$WORK/large"
    at_most "the $number $MIB MiB over 100 ms with 0.5 % loss ($allowed ms by rate)" $((allowed * 3)) "$MS" ms
    line_counts
    packets=$((COUNTS[in] - before)) dropped=$((COUNTS[full] - full)) lost=$((COUNTS[lost] - lost))
    [ "$lost" -gt 0 ] || fail "the line lost nothing of $packets packets"
    at_most "packets of $packets that the queue dropped" $((packets / 20)) "$dropped" ""
done

# Small packages are pipelined: one after the other would take 4.5 round trips each.
mkdir "$WORK/small"
for number in $(seq 400); do echo "$number" >"$WORK/small/$number.txt"; done
send_timed --each "$WORK/small"/*
at_most "400 small packages, of 180,000 ms one after the other" 60000 "$MS" ms
not_serving
