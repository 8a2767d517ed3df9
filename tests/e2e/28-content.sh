#!/usr/bin/env bash
# limit: 300 s
# runs beside the others
# Content that is not what its sender signed: whoever seals breaks it in every way that can be thought of, with a second writer of packages, made
# from the protocol page alone (writer.py). The receiver finds out for itself, states it, and the sender is told; nobody's word is enough for that.
source "$(dirname "$0")/lib.sh"

# open ID OUT…: as the receiver
open() {
    local id=$1
    shift
    r de package open "$id" --purpose prosecution --justification hearing --json "$@"
}

# mismatches NAME ID: the reasons of the statements of it there, one a line
mismatches() {
    r "$1" receipt list --package "$2" --json | jq -r '.[] | select(.kind == "content-mismatch") | .reason'
}

# told NAME ID CODE: it holds one statement of this package, with one of these reasons
told() {
    local codes
    codes=$(mismatches "$1" "$2")
    [[ $codes =~ ^($3)$ ]]
}

two_authorities
python3 "$ROOT/tests/e2e/writer.py" "$WORK/ie/api.sock" de >"$WORK/sent.json"
at_least=$(jq -s 'map(select(.code)) | length' "$WORK/sent.json")
[ "$at_least" -ge 25 ] || fail "only $at_least ways to break a package"

good=$(jq -r 'select(.code == null).id' "$WORK/sent.json")
wait_state de "$good" held
expect 0 "a package of the second writer is verified" r de package verify "$good"
expect 0 "and opened" open "$good" --out "$WORK/good"
valid_bag "$WORK/good"
expect 0 "and an item of it alone" open "$good" --out "$WORK/one" --item 'Žádost/Übersicht.txt'
equal "which is what it was" příloha "$(cat "$WORK/one/Žádost/Übersicht.txt")"
equal "so nothing is stated" "" "$(mismatches de "$good")"

while IFS=$'\t' read -r id code what; do
    wait_state de "$id" held
    items=()
    # What shows at the end of a package shows when an item alone is opened, while the rest stays sealed.
    case $code-$what in manifest* | item-root* | payload*last*) items=(--item d/a) ;; esac
    expect 7 "$what" open "$id" --out "$WORK/opened" "${items[@]}"
    equal "because" content-mismatch "$(jq -rs 'last | .error' "$WORK/err")"
    [ ! -e "$WORK/opened" ] && [ ! -e "$WORK/opened.partial" ] || fail "something was left"
    told de "$id" "$code" || fail "de states '$(mismatches de "$id")', expected $code"
    within 30 "ie is told: $code" told ie "$id" "$code"
done < <(jq -r 'select(.code) | [.id, .code, .what] | @tsv' "$WORK/sent.json")

# A false report: an officer says of a good package that it is not what was signed.
python3 - "$WORK/de/api.sock" "$good" <<'PY' >"$WORK/false.json"
import json, sys
from api import Api
path, xid = sys.argv[1:]
call = Api(path).good
opening = call("POST", f"/v1/packages/{xid}/openings", {"purpose": "prosecution", "justification": "hearing"})
where = f"/v1/openings/{opening['opening']}/mismatch"
answer = call("POST", where, {"code": "item"})
while answer["state"] == "running":
    answer = call("POST", where, {"code": "item"})
print(json.dumps(answer))
PY
equal "the daemon finds nothing" good "$(jq -r .state "$WORK/false.json")"
equal "and states nothing" "" "$(mismatches de "$good")"
grep -q 'nothing is wrong with the package that was reported' "$WORK/de.log" || fail "a false report leaves no trace"
expect 0 "the package still opens" open "$good" --out "$WORK/again"

# What has happened to the stored bytes since is not the sender's doing.
head -c 3000000 /dev/urandom >"$WORK/long.bin"
id=$(send ie de "$WORK/long.bin")
wait_state de "$id" held
file=$(find "$WORK/de/state" -type f -size +2000k -name "*$id*" | head -n 1)
cp "$file" "$WORK/kept"
spoil "$file" 1500000
expect 7 "a payload that was altered here" open "$id" --out "$WORK/opened"
equal "because" payload-altered "$(jq -rs 'last | .error' "$WORK/err")"
equal "nothing is stated" "" "$(mismatches de "$id")"

cat "$WORK/kept" >"$file"
expect 0 "as it was, it opens" open "$id" --out "$WORK/opened"
stop de
stop ie
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
