#!/usr/bin/env bash
# limit: 200 s
# runs beside the others
# Items under stricter terms of their own, exports that are decided as openings are, and reviews that are due.
source "$(dirname "$0")/lib.sh"

# refused REASON WHAT ARGUMENTS…: policy refuses this command of de for this reason, and nothing is left of it
refused() {
    local reason=$1 what=$2
    shift 2
    expect 4 "$what" r de "$@" --json
    equal "because" "$reason" "$(jq -rs 'last | .denial.reason' "$WORK/err")"
    [ ! -e "$WORK/no" ] || fail "something was left"
}

# last_access: the newest statement of de about access to the package: kind, purpose, reason
last_access() {
    local seq
    seq=$(r de receipt list --package "$id" --json | jq -r '[.[] | select(.kind | startswith("access"))] | max_by(.seq) | .seq')
    r de receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r '"\(.kind) \(.purpose) \(.reason.code // "-")"'
}

two_authorities
mkdir -p "$WORK/dossier/minors"
echo 'an ordinary letter' >"$WORK/dossier/letter.txt"
echo 'the interview of a child' >"$WORK/dossier/minors/interview.txt"
head -c 300000 /dev/urandom >"$WORK/dossier/minors/recording.bin"
head -c 300000 /dev/urandom >"$WORK/dossier/scan.bin"
cat >"$WORK/items.toml" <<'TOML'
[[item]]
path = "dossier/minors"
purposes = ["prosecution"]
restrictions = ["vulnerable-persons"]

[[item]]
path = "dossier/letter.txt"
sunset = "2027-06-30"
TOML

# Sealed: never looser, and of what is there.
for wrong in 'purposes = ["civil-claim"]' 'sunset = "2040-01-01"' 'retain_until = "2030-01-01"'; do
    printf '[[item]]\npath = "dossier"\n%s\n' "$wrong" >"$WORK/wrong.toml"
    expect 2 "an item cannot have $wrong" r ie package send --to de "${TERMS[@]}" --item-terms "$WORK/wrong.toml" "$WORK/dossier"
done
printf '[[item]]\npath = "dossier/absent"\n' >"$WORK/wrong.toml"
expect 2 "an item that is not there has no terms" r ie package send --to de "${TERMS[@]}" --item-terms "$WORK/wrong.toml" "$WORK/dossier"
says 'dossier/absent' "it is named"
equal "nothing was sent" 0 "$(r ie package list --json | jq length)"
id=$(send ie de --item-terms "$WORK/items.toml" "$WORK/dossier")
wait_state de "$id" held
equal "de knows which items they are" "dossier/letter.txt dossier/minors" \
    "$(r de package show "$id" --json | jq -r '[.item_terms[].path] | sort | join(" ")')"

# Opened: the whole where every item permits it, the others where one does not.
open=(package open "$id" --justification hearing)
expect 0 "everything is opened for what all permit" r de "${open[@]}" --purpose prosecution --out "$WORK/all"
valid_bag "$WORK/all"
cmp "$WORK/dossier/minors/interview.txt" "$WORK/all/data/dossier/minors/interview.txt" || fail "it is not what was sent"
refused purpose-not-permitted "the whole is not opened for what one forbids" "${open[@]}" --purpose trial --out "$WORK/no"
says 'dossier/minors' "the refusal names the item"
equal "it is stated" "access-denied trial purpose-not-permitted" "$(last_access)"
refused purpose-not-permitted "nor is the item alone" "${open[@]}" --purpose trial --out "$WORK/no" --item dossier/minors/interview.txt
refused purpose-not-permitted "nor a folder that holds it" "${open[@]}" --purpose trial --out "$WORK/no" --item dossier
expect 0 "the others are" r de "${open[@]}" --purpose trial --out "$WORK/some" --item dossier/letter.txt dossier/scan.bin
cmp "$WORK/dossier/scan.bin" "$WORK/some/dossier/scan.bin" || fail "it is not what was sent"
[ -z "$(find "$WORK/some" -name 'interview*')" ] || fail "more was opened than asked for"
equal "it is stated" "access trial -" "$(last_access)"
expect 0 "explain says it of each" r de policy explain "$id" --use trial --json
equal "of the package and of its items" "deny dossier/letter.txt=permit dossier/minors=deny" \
    "$(jq -r '"\(.decision) \([.items[] | "\(.path)=\(.decision)"] | sort | join(" "))"' "$WORK/out")"
expect 0 "explain for people" r de policy explain "$id" --use trial
says 'dossier/minors' "names the items"

# The daemon itself gives nothing away, whatever program asks.
python3 - "$WORK/de/api.sock" "$id" "$WORK/dossier/minors/interview.txt" <<'PY' || fail "an item was given away"
import sys
from api import Api
path, package, secret = sys.argv[1:]
call = Api(path).good
wish = {"purpose": "trial", "justification": "x", "items": ["dossier/letter.txt"]}
opening = call("POST", f"/v1/packages/{package}/openings", wish)
plain = call("GET", f"/v1/openings/{opening['opening']}/plaintext")
assert len(plain) == opening["plaintext_bytes"], len(plain)
assert b"an ordinary letter" in plain and open(secret, "rb").read() not in plain
minors = next(it for it in opening["item_terms"] if it["path"] == "dossier/minors")
assert not any(plain[minors["offset"]:minors["offset"] + minors["size"]]), "bytes are left"
PY
ok "the bytes of an item that an opening is not for are zeros"

# Exported, still encrypted: decided and stated as an opening is.
expect 2 "nothing is exported without a purpose" r de package export "$id" --age "$WORK/no"
refused purpose-not-permitted "nothing is exported for what an item forbids" package export "$id" --age "$WORK/no" --purpose trial --justification archive
expect 0 "the whole is exported for what all permit" r de package export "$id" --age "$WORK/whole.age" --purpose prosecution --justification archive
equal "it is stated" "access prosecution -" "$(last_access)"
equal "and it is the age file" "an ordinary letter" "$(age -d -i "$WORK/de/keys/age.key" "$WORK/whole.age" | tar xO data/dossier/letter.txt)"

# Other items under other terms than the sender has disclosed: the manifest decides, and the sender is told.
python3 - "$WORK" "$WORK/ie/api.sock" <<'PY' >"$WORK/false.id"
import hashlib, json, subprocess, sys, tarfile
from api import Api
work, path = sys.argv[1:]
call = Api(path).good
tar = subprocess.run(["age", "-d", "-i", work + "/de/keys/age.key", work + "/whole.age"], capture_output=True, check=True).stdout
open(work + "/whole.tar", "wb").write(tar)
with tarfile.open(work + "/whole.tar") as archive:
    manifest = archive.extractfile("rogatory/manifest.json").read()
package = json.loads(manifest)
scan = next(it for it in package["items"] if it["path"] == "dossier/scan.bin")
said = {"path": scan["path"], "terms": package["terms"]}
grant = call("POST", "/v1/seals", {"to": "de", "terms": package["terms"], "case": "IE-2026-0117", "item_terms": [said]})
sealed = subprocess.run(["age", "-r", grant["recipients"][0], work + "/whole.tar"], capture_output=True, check=True).stdout
call("PUT", f"/v1/seals/{grant['grant']}/package", sealed)
place = {"offset": scan["offset"] - 512, "size": 512 + -(-scan["size"] // 512) * 512}
finish = {"manifest": hashlib.sha256(manifest).hexdigest(), "item_root": "0" * 64, "items": 4, "item_terms": [{**said, **place}]}
print(call("POST", f"/v1/seals/{grant['grant']}/finish", finish)["id"])
PY
honest=$id id=$(cat "$WORK/false.id")
wait_state de "$id" held
expect 7 "other items are under terms of their own than the sender has said" r de "${open[@]/$honest/$id}" --purpose trial --out "$WORK/no"
says 'terms of items' "the items are named"
[ ! -e "$WORK/no" ] || fail "something was left"
within 30 "ie is told" holds ie 'any(.[]; .kind == "content-mismatch")' receipt list --package $id

# Passed on: what binds an item binds it at a third authority too.
new_authority fr mj.example.fr FR
start fr
wait_serving fr
for pair in 'de fr' 'fr de' 'ie fr' 'fr ie'; do
    # shellcheck disable=SC2086  # two words
    trust $pair
done
TERMS[9]=with-consent
sed 's/^purposes.*/&\nonward = "with-consent"/' "$WORK/items.toml" >"$WORK/onward.toml"
id=$(send ie de --item-terms "$WORK/onward.toml" "$WORK/dossier")
wait_state de "$id" held
wait_state ie "$id" closed
asked=$(r de package ask-onward "$id" --to mj.example.fr --justification 'joint proceedings' --json | jq -r .id)
within 20 "ie is asked" holds ie 'length > 0' consent list
expect 0 "ie permits it" r ie consent grant "$asked" --until 2031-12-30 --justification agreed
within 20 "de may" holds de 'any(.[]; .state == "given")' consent list
onward=$(r de package forward "$id" --to fr --justification 'joint proceedings' --json | jq -r .id)
wait_state fr "$onward" held
expect 4 "fr does not open the whole for what one item forbids" r fr package open "$onward" --purpose trial --justification x --out "$WORK/no" --json
equal "because" purpose-not-permitted "$(jq -rs 'last | .denial.reason' "$WORK/err")"
expect 0 "it opens the others" r fr package open "$onward" --purpose trial --justification x --out "$WORK/some-fr" --item dossier/scan.bin
expect 0 "and the whole for what all permit" r fr package open "$onward" --purpose prosecution --justification x --out "$WORK/all-fr"
stop fr
TERMS[9]=prohibited

# Reviewed: after the day that the terms name, a package is not used until somebody has looked.
day=$(date -u -d '+2 days' +%F)
TERMS+=(--review "$day")
id=$(send ie de "$WORK/dossier/letter.txt")
wait_state de "$id" held
wait_state ie "$id" closed
open=(package open "$id" --purpose trial --justification hearing)
expect 0 "before that day it opens" r de "${open[@]}" --out "$WORK/before"
expect 2 "a review says why" r de package review "$id" --justification ' '
expect 0 "somebody looks too early" r de package review "$id" --justification 'still needed'
stop de
stop ie
later 3
start ie
wait_serving ie
start de
wait_serving de 30
confirm ie
confirm de
refused review-due "after that day it does not" "${open[@]}" --out "$WORK/no"
refused review-due "nor is it exported" package export "$id" --age "$WORK/no" --purpose trial --justification archive
within 20 "the problem is shown" holds de 'any(.problems[]; .code == "review-due")' status
expect 0 "somebody looks" r de package review "$id" --justification 'appeal pending'
expect 0 "then it opens" r de "${open[@]}" --out "$WORK/after"
within 20 "no problem is left" holds de 'all(.problems[]; .code != "review-due")' status
equal "who looked is on record" "appeal pending" "$(r de package show "$id" --json | jq -r .review.justification)"
equal "and stated, twice" 2 "$(r de receipt list --json | jq '[.[] | select(.kind == "order")] | length')"
stop de
stop ie
later
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
python3 - "$WORK/de/state/ledger.db" "$id" <<'PY'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert db.execute("DELETE FROM meta WHERE key = ?", ("review/" + sys.argv[2],)).rowcount == 1
PY
expect 7 "fsck finds a review that somebody took out of the database" "$BIN" --home "$WORK/de" fsck
says 'order-not-in-force' "it is named"
