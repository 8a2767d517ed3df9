#!/usr/bin/env bash
# limit: 600 s
# One package of many small files: it arrives and opens, other programs accept it, and memory stays bounded. Then many
# packages at once.
#
#   FILES   how many [default: 20000]
source "$(dirname "$0")/lib.sh"

FILES=${FILES:-20000}
enough_disk 4
two_authorities

python3 - "$WORK/records" "$FILES" <<'PY'
import hashlib, os, sys
folder, count = sys.argv[1], int(sys.argv[2])
for n in range(count):
    inside = f"{folder}/{n // 500:03d}"
    os.makedirs(inside, exist_ok=True)
    content = hashlib.sha256(str(n).encode()).digest() * (n % 40)
    with open(f"{inside}/record-{n:06d}.bin", "wb") as out:
        out.write(content)
PY

measured "$BIN" --home "$WORK/ie" package send --to de "${TERMS[@]}" --wait --json "$WORK/records" >"$WORK/sent" ||
    fail "sending $FILES files failed: $(tail -n 1 "$WORK/sent")"
id=$(jq -ers 'map(select(.type? == "summary")) | last | .id' "$WORK/sent")
at_most "memory of the sending command" "$RSS_KIB_MAX" "$CLI_KIB" KiB
wait_state de "$id" held 60
wait_state ie "$id" closed 60
handed_over "$id" ie de
equal "items" "$FILES" "$(r ie package show "$id" --json | jq .items)"

measured "$BIN" --home "$WORK/de" package open "$id" --purpose trial --justification "review" --out "$WORK/opened" >"$WORK/out" ||
    fail "opening $FILES files failed"
at_most "memory of the opening command" "$RSS_KIB_MAX" "$CLI_KIB" KiB
diff -r "$WORK/records" "$WORK/opened/data/records" || fail "the opened files differ from what was sent"
ok "$FILES opened files equal what was sent"
valid_bag "$WORK/opened"
measured "$BIN" --home "$WORK/de" package open "$id" --purpose trial --justification "review" --out "$WORK/single" \
    --item records/003/record-001777.bin >"$WORK/out" || fail "opening one item failed"
at_most "memory of opening one item" "$RSS_KIB_MAX" "$CLI_KIB" KiB
# Many packages at once: small files, which are sealed in memory, an empty one, one too long for that, a folder.
mkdir "$WORK/each" "$WORK/each/folder"
for n in $(seq 100); do
    head -c $((n * 100)) /dev/urandom >"$WORK/each/$n.bin"
done
: >"$WORK/each/empty.bin"
head -c 400000 /dev/urandom >"$WORK/each/long.bin"
echo "a note" >"$WORK/each/folder/note.txt"
expect 0 "103 packages at once" r ie package send --to de "${TERMS[@]}" --each --jobs 8 --wait --json "$WORK"/each/*
equal "summary" "103 103 0" "$(jq -rs 'map(select(.type? == "summary")) | last | "\(.packages) \(.sent) \(.failed)"' "$WORK/out")"
equal "packages held" 104 "$(r de package list --json | jq '[.[] | select(.state == "held")] | length')"
id=$(jq -rs 'map(select(.type? == "package")) | last | .id' "$WORK/out")
wait_state ie "$id" closed
handed_over "$id" ie de
expect 0 "verify one of them" r de package verify "$id"
# A path that cannot be sealed is the command's failure; the others are sent all the same.
ln -s "$WORK/each/1.bin" "$WORK/link"
expect 2 "a link among the paths" r ie package send --to de "${TERMS[@]}" --each --wait --json "$WORK/link" "$WORK/each/1.bin"
equal "summary with a link" "2 1 1" "$(jq -rs 'map(select(.type? == "summary")) | last | "\(.packages) \(.sent) \(.failed)"' "$WORK/out")"

for side in ie de; do
    at_most "memory of the daemon of $side" "$RSS_KIB_MAX" "$(peak "$side")" KiB
    stop "$side"
done
