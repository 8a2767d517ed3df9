#!/usr/bin/env bash
# limit: 120 s
# runs beside the others
# Terms that somebody has altered, in the manifest, in the database or on the disk: each is refused with a reason of its own, and
# nothing is opened. (On the wire, hostile peers alter them: tests/hostile.)
source "$(dirname "$0")/lib.sh"

# altered CODE REASON WHAT: opening the package at de ends so, and leaves nothing
altered() {
    expect "$1" "$3" r de package open "$id" --purpose prosecution --justification hearing --out "$WORK/opened" --json
    equal "because" "$2" "$(jq -rs 'last | .error' "$WORK/err")"
    [ ! -e "$WORK/opened" ] || fail "something was opened"
}

# database SQL: changes de's database behind its back
database() {
    python3 - "$WORK/de/state/ledger.db" "$1" <<'PY'
import sqlite3, sys
path, change = sys.argv[1:]
with sqlite3.connect(path) as db:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    changed = db.execute(change).rowcount
    assert changed == 1, f"{changed} rows"
PY
}

# with_changed WHAT CODE REASON SQL: with this change, the package is refused for that reason; then the database is as before
with_changed() {
    stop de
    cp -a "$WORK/de/state" "$WORK/before"
    database "$4"
    start de
    wait_serving de
    altered "$2" "$3" "$1"
    stop de
    expect 7 "fsck sees it" "$BIN" --home "$WORK/de" fsck
    rm -rf "$WORK/de/state"
    mv "$WORK/before" "$WORK/de/state"
    start de
    wait_serving de
}

two_authorities
echo evidence >"$WORK/sample.txt"
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held
xid="x'$id'"
ls "$WORK/de/state"

with_changed "terms changed in the dispatch" 7 dispatch-altered \
    "UPDATE statement SET note = CAST(replace(CAST(note AS TEXT), '\"purposes\":[\"prosecution\"', '\"purposes\":[\"civil-claim\",\"prosecution\"') AS BLOB) WHERE kind = 'dispatch' AND xid = $xid"
with_changed "terms changed in the handover" 7 ledger-altered \
    "UPDATE statement SET note = CAST(replace(CAST(note AS TEXT), '2031-12-31', '2041-12-31') AS BLOB) WHERE kind = 'handover' AND signatures = 2 AND xid = $xid"
with_changed "another package in the row" 7 ledger-altered \
    "UPDATE exchange SET body = zeroblob(32) WHERE xid = $xid"
expect 0 "as it was, it opens" r de package open "$id" --purpose prosecution --justification hearing --out "$WORK/good"

# What nobody can open because its statements are damaged is destroyed all the same, and the sender has the receipt.
damaged=$(send ie de "$WORK/sample.txt")
wait_state de "$damaged" held
stop de
database "UPDATE statement SET note = CAST(replace(CAST(note AS TEXT), '2031-12-31', '2041-12-31') AS BLOB) WHERE kind = 'dispatch' AND xid = x'$damaged'"
start de
wait_serving de
expect 7 "the damaged one does not open" r de package open "$damaged" --purpose prosecution --justification hearing --out "$WORK/opened"
expect 0 "de destroys it" r de package purge "$damaged" --justification 'its statements are damaged' --yes
for side in ie de; do
    wait_state $side "$damaged" destroyed
done
equal "ie has its receipt, signed by both" 1 "$(r ie receipt list --package "$damaged" --json | jq '[.[] | select(.kind == "destroyed" and .countersigned)] | length')"

# A genuine statement about another package of the same sender, moved to this one, is none about it.
moved=$(send ie de "$WORK/sample.txt") other=$(send ie de "$WORK/sample.txt")
for id in "$moved" "$other"; do
    wait_state de "$id" held
    wait_state ie "$id" closed
done
expect 0 "ie takes the other one back" r ie package withdraw "$other" --justification 'sent too early'
within 20 "de has heard" holds de 'any(.[]; .kind == "restriction-changed")' receipt list --package "$other"
stop de
database "UPDATE statement SET xid = x'$moved', no = (SELECT no FROM exchange WHERE xid = x'$moved')
    WHERE kind = 'restriction-changed' AND xid = x'$other'"
start de
wait_serving de
expect 0 "de destroys it by order" r de package purge "$moved" --justification 'no longer needed' --yes
for side in ie de; do
    wait_state $side "$moved" destroyed
done
equal "the other one is as it was" false "$(r ie receipt list --package "$other" --json | jq 'any(.[]; .kind == "destroyed")')"

# Nor is a package made unreadable whose handover the sender has not signed, by a term that nobody has signed.
early=$(send ie de "$WORK/sample.txt")
wait_state de "$early" held
stop de
database "UPDATE exchange SET phase = 'handover-signed', due = 1, last = NULL, last_note = (SELECT CAST(replace(CAST(note AS TEXT),
    '2031-12-31', '2021-12-31') AS BLOB) FROM statement WHERE xid = x'$early' AND kind = 'handover' AND signatures = 1) WHERE xid = x'$early'"
sed -i 's|^\[retention\]$|[retention]\ndestroy = "automatic"|' "$WORK/de/rogatory.toml"
start de
wait_serving de
is_kept() { grep -q "it may no longer be kept, and cannot be destroyed.*$early" "$WORK/de.log"; }
within 20 "de says why it does not destroy it" is_kept
equal "it is not made unreadable" null "$(r de package show "$early" --json | jq '.fault.code')"

# The manifest: ie has a package sealed whose manifest names other terms than its dispatch.
expect 0 "de exports what it received" r de package export "$id" --age "$WORK/one.age" --purpose prosecution --justification archive
age -d -i "$WORK/de/keys/age.key" "$WORK/one.age" >"$WORK/one.tar"
python3 - "$WORK" "$WORK/ie/api.sock" <<'PY' >"$WORK/false.id"
import hashlib, json, subprocess, sys, tarfile
from api import Api
work, path = sys.argv[1:]
call = Api(path).good
with tarfile.open(work + "/one.tar") as tar:
    manifest = tar.extractfile("rogatory/manifest.json").read()
terms = json.loads(manifest)["terms"]
terms["purposes"] = sorted(terms["purposes"] + ["civil-claim"])
grant = call("POST", "/v1/seals", {"to": "de", "terms": terms, "case": "IE-2026-0117"})
sealed = subprocess.run(["age", "-r", grant["recipients"][0], work + "/one.tar"], capture_output=True, check=True).stdout
query = f"manifest={hashlib.sha256(manifest).hexdigest()}&item_root={'0' * 64}&items=1"
print(call("PUT", f"/v1/seals/{grant['grant']}/whole?{query}", sealed)["id"])
PY
id=$(cat "$WORK/false.id")
wait_state de "$id" held
altered 7 content-mismatch "terms of the manifest that are not those of the dispatch"
says 'terms' "the terms are named"
within 30 "ie is told" holds ie 'any(.[]; .kind == "content-mismatch")' receipt list --package $id

# The disk: a byte of a long payload.
head -c 3000000 /dev/urandom >"$WORK/long.bin"
id=$(send ie de "$WORK/long.bin")
wait_state de "$id" held
file=$(find "$WORK/de/state" -type f -size +2000k -name "*$id*" | head -n 1)
[ -n "$file" ] || fail "the payload of $id is no file"
spoil "$file" 1500000
expect 7 "verify sees a changed payload" r de package verify "$id"
altered 7 payload-altered "a changed payload"
equal "ie is not told, it has done nothing wrong" 0 "$(r ie receipt list --package "$id" --json | jq '[.[] | select(.kind == "content-mismatch")] | length')"
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held
stop de
database "UPDATE payload SET bytes = zeroblob(length(bytes)) WHERE no = (SELECT no FROM exchange WHERE xid = x'$id')"
start de
wait_serving de
altered 7 cannot-decrypt "a changed payload in the database"
stop de
stop ie
