#!/usr/bin/env bash
# limit: 400 s
# runs beside the others
# Retention: packages that are taken back, held, destroyed, restored and destroyed again; the sender gets a receipt each time.
# People are played by accounts that every Debian system has; later days by libfaketime.
source "$(dirname "$0")/lib.sh"
people

# destroyed ID: both sides hold the same receipt of it, signed by both
destroyed() {
    local id=$1 side digests=()
    for side in de ie; do
        wait_state $side "$id" destroyed
        digests+=("$(r $side receipt list --package "$id" --json |
            jq -er '[.[] | select(.kind == "destroyed" and .countersigned)] | map(.digest) | join(" ")')")
    done
    [ -n "${digests[0]}" ] || fail "de has no destroyed receipt signed by both for $id"
    equal "both hold the same receipt, signed by both" "${digests[0]}" "${digests[1]}"
}

# reported: what ie was told of the use of the first package
reported() {
    local seq
    for seq in $(r ie receipt list --package "$first" --json | jq -r '[.[] | select(.kind == "use-report") | .seq] | sort | .[]'); do
        r ie receipt show "$seq" --json | jq -r .note | sed -n 2p
    done | jq -rs '[.[].uses[]? | "\(.kind) \(.purpose) \(.reason)"] | join(";")'
}

# keys FILE: the keys in the cells of a slot file, hex, one a line
keys() {
    python3 - "$1" <<'PY'
import sys
data = open(sys.argv[1], "rb").read()
for at in range(0, len(data), 64):
    if any(data[at:at + 64]):
        print(data[at:at + 32].hex())
PY
}

# gone FOLDER KEY…: no file of the folder holds the bytes of a key
gone() {
    python3 - "$@" <<'PY' || fail "a destroyed key is still below $1"
import os, sys
keys = [bytes.fromhex(key) for key in sys.argv[2:]]
assert keys, "no key to look for"
for place, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(place, name)
        if os.path.isfile(path):
            data = open(path, "rb").read()
            for key in keys:
                assert key not in data, f"{path} holds a key"
PY
    ok "no file below $(basename "$1") holds a destroyed key"
}

officer=daemon supervisor=bin operator=sys auditor=games
mkdir -m 1777 "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
head -c 3000000 /dev/urandom >"$WORK/large.bin"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\"]\nsupervisor = [\"user:$supervisor\"]\noperator = [\"user:$operator\", \"uid:0\"]\nauditor = [\"user:$auditor\", \"uid:0\"]|" "$WORK/de/rogatory.toml"
start ie
wait_serving ie
serve de
chmod 711 "$WORK" "$WORK/de"
trust ie de
trust de ie

first=$(send ie de "$WORK/sample.txt")
large=$(send ie de "$WORK/large.bin")
wait_state de "$first" held
wait_state de "$large" held
wait_state ie "$first" closed
wait_state ie "$large" closed
open=(package open "$first" --purpose trial --justification hearing --out)
may 0 $officer "opens" "${open[@]}" "$WORK/out.d/1"

# Taken back by the sender.
expect 2 "a package is not taken back without a reason" r ie package withdraw "$first" --justification ' '
may 2 $officer "cannot take back what another sent" package withdraw "$first" --justification no
expect 2 "terms do not become looser" r ie package restrict "$first" --purpose trial,civil-claim --justification more
expect 0 "terms become stricter" r ie package restrict "$first" --purpose trial --restriction return --justification 'part acquitted'
within 20 "de has them" holds de 'any(.[]; .kind == "restriction-changed")' receipt list --package $first
within 20 "and ie knows" sh -c "[ \"\$('$BIN' --home '$WORK/ie' package list --json | jq -r '.[] | select(.id == \"$first\") | .state')\" = closed ]"
may 4 $officer "opens for no purpose that is no longer permitted" package open "$first" --purpose prosecution --justification x --out "$WORK/out.d/2"
may 0 $officer "opens for the purpose that is left" "${open[@]}" "$WORK/out.d/3"
expect 0 "ie asks what was done with it" r ie package restrict "$first" --use-report --justification 'question of the court'
within 20 "ie has a report" holds ie 'any(.[]; .kind == "use-report")' receipt list --package $first
equal "of each opening and refusal" "access trial null;access-denied prosecution purpose-not-permitted;access trial null" "$(reported)"
may 9 $officer "has nothing more to report" package report "$first"
expect 0 "ie takes it back" r ie package withdraw "$first" --justification 'the order was annulled'
within 20 "de knows that it may no longer be kept" holds de 'any(.problems[]; .code == "destruction-due")' status
expect 0 "ie sees what is held abroad" r ie package list --abroad --json
equal "and that it is overdue" true "$(jq -r --arg id "$first" '.[] | select(.id == $id) | .overdue' "$WORK/out")"
may 4 $officer "does not open it any more" "${open[@]}" "$WORK/out.d/4" --json
equal "because its time is over" retention-ended "$(jq -rs 'last | .denial.reason' "$WORK/err")"
[ ! -e "$WORK/out.d/4" ] || fail "a refused opening left a folder"

may 4 $officer "takes no ciphertext away any more" package export "$first" --age "$WORK/out.d/5.age" --purpose trial --justification x

# Destroyed by order.
for account in $officer $operator $auditor; do
    may 4 $account "destroys nothing" package purge --due --justification x --yes
    may 4 $account "holds nothing" package hold "$first" --until 2040-01-01 --authority court --reason x
done
may 0 $supervisor "sees what is due" package purge --due --dry-run --json
equal "it is the one taken back" "$first withdrawn" "$(jq -r '.[] | "\(.id) \(.reason)"' "$WORK/out")"
equal "nothing was done" held "$(state de "$first")"
may 2 $supervisor "is asked before anything is destroyed" package purge --due
keys "$WORK/de/state/slots" | sort >"$WORK/keys.before"
may 0 $supervisor "destroys it" package purge --due --yes
destroyed "$first"
equal "what was refused since is reported with its end" "access trial null;access-denied prosecution purpose-not-permitted;access trial null;access-denied trial retention-ended;access-denied trial retention-ended" "$(reported)"
keys "$WORK/de/state/slots" | sort >"$WORK/keys.after"
mapfile -t lost < <(comm -23 "$WORK/keys.before" "$WORK/keys.after")
equal "keys that are overwritten" 1 "${#lost[@]}"
gone "$WORK/de" "${lost[@]}"
may 8 $officer "cannot open what is destroyed" "${open[@]}" "$WORK/out.d/4"
may 9 $supervisor "finds nothing more to destroy" package purge --due --yes
may 9 $supervisor "destroys nothing twice" package purge "$first" --justification again --yes
expect 0 "ie sees what is held abroad" r ie package list --abroad --json
equal "which is the other one alone" "$large" "$(jq -r '.[].id' "$WORK/out")"
within 20 "no problem is left" holds de 'all(.problems[]; .code != "destruction-due")' status

# Held for a proceeding, then destroyed while the sender is away, with kills.
may 2 $supervisor "holds nothing until yesterday" package hold "$large" --until 2020-01-01 --authority court --reason appeal
may 0 $supervisor "holds it" package hold "$large" --until 2040-01-01 --authority 'Landgericht' --reason appeal
expect 0 "ie takes it back" r ie package withdraw "$large" --justification 'the order was annulled'
within 20 "de has heard" holds de 'any(.[]; .kind == "restriction-changed")' receipt list --package $large
may 4 $supervisor "does not destroy what is held" package purge "$large" --justification x --yes --json
equal "because of the hold" on-hold "$(jq -rs 'last | .denial.reason' "$WORK/err")"
may 0 $supervisor "ends the hold" package release "$large"
may 9 $supervisor "ends no hold twice" package release "$large"
stop ie
[ -e "$WORK/de/state/blobs/$large" ] || fail "the payload is not where it is looked for"
may 0 $supervisor "destroys it while ie is away" package purge "$large" --justification 'taken back' --yes
kill_hard de
serve de
equal "after a kill it waits for ie" destruction-signed "$(state de "$large")"
[ ! -e "$WORK/de/state/blobs/$large" ] || fail "the payload is still there"
start ie
wait_serving ie
destroyed "$large"

# Taken back before it was received.
stop de
early=$(send ie de "$WORK/sample.txt")
expect 0 "ie takes back what de has not seen" r ie package withdraw "$early" --justification 'sent too early'
equal "it is not sent any more" withdrawn "$(state ie "$early")"
expect 9 "nor are its terms changed" r ie package restrict "$early" --no-onward --justification x
serve de
after=$(send ie de "$WORK/sample.txt")
wait_state de "$after" held
# Its ciphertext may have been on the way; its header never is.
within 30 "de does not get it" holds de "all(.[] | select(.id == \"$early\"); .state == \"lapsed\")" package list

# Destroyed by order after a backup was made: the backup does not bring it back, and nothing is served before that is so.
mapfile -t both < <(for file in sample.txt large.bin; do send ie de "$WORK/$file"; done)
for id in "${both[@]}"; do
    wait_state de "$id" held
    wait_state ie "$id" closed
done
stop de
cp -a "$WORK/de/state" "$WORK/before"
serve de
for id in "${both[@]}"; do
    expect 0 "ie takes it back" r ie package withdraw "$id" --justification 'the order was annulled'
    within 20 "de has heard" holds de 'any(.[]; .kind == "restriction-changed")' receipt list --package "$id"
    may 0 $supervisor "destroys it" package purge "$id" --justification 'taken back' --yes
    destroyed "$id"
    equal "lines of the journal that name it" 1 "$(grep -c "^$id " "$WORK/de/state-destroyed/journal")"
done
expect 0 "the journal is looked at beside the daemon" r de check storage --json
equal "what it holds" 4 "$(jq .destructions "$WORK/out")"
stop de
stop ie
keys "$WORK/before/slots" | sort >"$WORK/keys.before"
keys "$WORK/de/state/slots" | sort >"$WORK/keys.after"
mapfile -t lost < <(comm -23 "$WORK/keys.before" "$WORK/keys.after")
equal "keys that are overwritten, and in the backup" 2 "${#lost[@]}"
mv "$WORK/de/state" "$WORK/newest"
cp -a "$WORK/before" "$WORK/de/state"
[ -e "$WORK/de/state/blobs/${both[1]}" ] || fail "the backup does not hold the payload"
expect 0 "fsck of the restored state says what the next start will do" "$BIN" --home "$WORK/de" fsck --json
equal "about both" "journal-not-followed journal-not-followed" \
    "$(jq -rs 'map(select(.type == "finding") | .code) | join(" ")' "$WORK/out")"
# The port is taken, so that the daemon ends before it can serve anybody.
python3 - "${LISTEN[de]}" "$WORK/taken" <<'PY' &
import pathlib, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind((host, int(port)))
pathlib.Path(sys.argv[2]).touch()
time.sleep(600)
PY
PID[taken]=$!
within 10 "the port of de is taken" test -e "$WORK/taken"
expect 1 "de cannot serve" r de serve
kill_hard taken
gone "$WORK/de/state" "${lost[@]}"
[ ! -e "$WORK/de/state/blobs/${both[1]}" ] || fail "the payload is back"
[ ! -e "$WORK/de/state/blobs/${both[1]}.list" ] || fail "the list of its segments is back"
expect 0 "fsck is content with that" "$BIN" --home "$WORK/de" fsck --json
equal "and knows what was destroyed before" "0 2" "$(jq -rs 'last | "\(.findings | length) \(.unstated)"' "$WORK/out")"
serve de
for id in "${both[@]}"; do
    may 8 $officer "opens nothing that was destroyed" package open "$id" --purpose trial --justification x --out "$WORK/out.d/6" --json
    equal "because it was" destroyed-before-restore "$(jq -rs 'last | .error' "$WORK/err")"
    may 8 $officer "takes no ciphertext of it away" package export "$id" --age "$WORK/out.d/6.age" --purpose trial --justification x
    may 8 $officer "passes it on to nobody" package forward "$id" --to ie --justification x
    may 8 $officer "asks no consent for it" package ask-use "$id" --use civil-claim --justification x
    may 8 $supervisor "holds it for nobody" package hold "$id" --until 2040-01-01 --authority court --reason x
    may 9 $supervisor "destroys nothing twice" package purge "$id" --justification again --yes
    equal "as it is listed" "destroyed destroyed-before-restore" \
        "$(r de package list --json | jq -r --arg id "$id" '.[] | select(.id == $id) | "\(.state) \(.fault.code)"')"
    expect 0 "it is shown" r de package show "$id"
    says 'restored from an older backup' "with what became of it"
    equal "not among what is held" 0 "$(r de package list --state held --json | jq --arg id "$id" 'map(select(.id == $id)) | length')"
    equal "but among what is destroyed" 1 "$(r de package list --state destroyed --json | jq --arg id "$id" 'map(select(.id == $id)) | length')"
    expect 0 "its receipts are in order" r de package verify "$id"
done
may 9 $supervisor "finds nothing due" package purge --due --yes
holds de 'any(.problems[]; .code == "destroyed-before-restore") and all(.problems[]; .code != "destruction-due")' status ||
    fail "status does not say what was destroyed before"
equal "packages that are held" "$(r de package list --state held --json | jq length)" "$(r de status --json | jq .held)"
stop de

# The newest state has the receipts; a journal that is missing or damaged is told.
rm -rf "$WORK/de/state"
mv "$WORK/newest" "$WORK/de/state"
journal=$WORK/de/state-destroyed/journal
mv "$journal" "$WORK/journal"
expect 11 "a journal that is missing is found" r de check storage --json
equal "as such" journal-missing "$(jq -rs 'last | .error' "$WORK/err")"
serve de
holds de 'any(.problems[]; .code == "journal-rebuilt")' status || fail "status does not say that the journal was missing"
equal "entries that were written anew" "$(cut -d ' ' -f 1,2 "$WORK/journal" | sort)" "$(cut -d ' ' -f 1,2 "$journal" | sort)"
stop de
for change in '2s/^./x/' '2d'; do
    sed "$change" "$WORK/journal" >"$journal"
    expect 11 "a journal that was changed ($change) is found" r de check storage
    expect 11 "and nothing is served on it" r de serve
    says 'put the newest sound one in its place' "with what to do"
    expect 7 "fsck finds it too" "$BIN" --home "$WORK/de" fsck
done
{ cat "$WORK/journal" && head -n 2 "$WORK/journal" | tail -n 1 | head -c 77; } >"$journal"
expect 0 "a last line that was cut short is no damage" r de check storage --json
equal "but it is seen" true "$(jq .torn "$WORK/out")"
serve de
equal "and taken away" "$(sha256sum <"$WORK/journal")" "$(sha256sum <"$journal")"
holds de 'all(.problems[]; .code != "journal-rebuilt" and .code != "destroyed-before-restore")' status ||
    fail "there are problems left"
start ie
wait_serving ie

# Its time is over: it is destroyed by itself once the clock is sure; a backup of all, the journal included, destroys it
# again.
tomorrow=$(date -u -d '+1 day' +%F)
TERMS=(--case IE-2026-0117 --instrument EIO --purpose prosecution,trial --retain-until "$tomorrow" --onward prohibited)
old=$(send ie de "$WORK/sample.txt")
wait_state de "$old" held
wait_state ie "$old" closed
stop de
stop ie
cp -a "$WORK/de/state" "$WORK/backup"
cp -a "$journal" "$WORK/journal"
sed -i 's|^\[retention\]$|[retention]\ndestroy = "automatic"|' "$WORK/de/rogatory.toml"
keys "$WORK/de/state/slots" | sort >"$WORK/keys.before"
later 3
serve de
keys "$WORK/de/state/slots" | sort >"$WORK/keys.after"
equal "keys that a doubtful clock overwrites" "" "$(comm -23 "$WORK/keys.before" "$WORK/keys.after")"
confirm de
keys "$WORK/de/state/slots" | sort >"$WORK/keys.after"
mapfile -t lost < <(comm -23 "$WORK/keys.before" "$WORK/keys.after")
equal "keys that are overwritten at once when it is sure" 1 "${#lost[@]}"
gone "$WORK/de/state" "${lost[@]}"
start ie
wait_serving ie
confirm ie
destroyed "$old"
r de log checkpoint >/dev/null
within 40 "ie has cosigned the log of de with that" holds de '.size as $size | any(.cosigned[]; .size >= $size)' log status
stop de
rm -rf "$WORK/de/state"
cp -a "$WORK/backup" "$WORK/de/state"
cp -a "$WORK/journal" "$journal"
serve de
confirm de
gone "$WORK/de/state" "${lost[@]}"
within 20 "the restored state is known to be too old, and signs nothing" holds de '.recovering != null' log status
may 8 $officer "opens nothing of it" package open "$old" --purpose trial --justification x --out "$WORK/out.d/5" --json
equal "because it is unreadable, which cannot be stated" destruction-unstated "$(jq -rs 'last | .error' "$WORK/err")"
holds de 'any(.problems[]; .code == "destruction-unstated")' status || fail "status does not say so"
equal "the receipt of its destruction stays with ie" destroyed "$(state ie "$old")"
stop de
stop ie
later
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
