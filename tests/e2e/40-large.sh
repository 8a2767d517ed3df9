#!/usr/bin/env bash
# limit: 1800 s
# One package of a sparse file larger than the 8 GiB that a ustar header can name, with the same demands as on many files.
#
#   LARGE_GIB   its size in GiB [default: 9]
source "$(dirname "$0")/lib.sh"

LARGE_GIB=${LARGE_GIB:-9}
enough_disk $((LARGE_GIB * 3 + 3)) # spooled at the sender, held by the receiver, opened
two_authorities

image=$WORK/disk.img
truncate -s "${LARGE_GIB}G" "$image"
for at in 0 $((LARGE_GIB * 512)) $((LARGE_GIB * 1024 - 1)); do
    head -c 4096 /dev/urandom | dd of="$image" bs=1M seek="$at" conv=notrunc status=none
done

measured "$BIN" --home "$WORK/ie" package send --to de "${TERMS[@]}" --wait --json "$image" >"$WORK/sent" ||
    fail "sending $LARGE_GIB GiB failed: $(tail -n 1 "$WORK/sent")"
id=$(jq -ers 'map(select(.type? == "summary")) | last | .id' "$WORK/sent")
at_most "memory of the sending command" "$RSS_KIB_MAX" "$CLI_KIB" KiB
wait_state de "$id" held 120
wait_state ie "$id" closed 120
handed_over "$id" ie de

measured "$BIN" --home "$WORK/de" package open "$id" --purpose trial --justification "review" --out "$WORK/opened" >"$WORK/out" ||
    fail "opening $LARGE_GIB GiB failed"
at_most "memory of the opening command" "$RSS_KIB_MAX" "$CLI_KIB" KiB
cmp "$image" "$WORK/opened/data/disk.img" || fail "the opened file differs from what was sent"
ok "$LARGE_GIB GiB opened equal what was sent"
bagit_valid "$WORK/opened"
for side in ie de; do
    at_most "memory of the daemon of $side" "$RSS_KIB_MAX" "$(peak "$side")" KiB
    stop "$side"
done
