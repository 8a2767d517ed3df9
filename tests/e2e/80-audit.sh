#!/usr/bin/env bash
# limit: 120 s
# runs beside the others
# An export judged by rogatory-audit where there is no network at all, and a state judged by fsck.
source "$(dirname "$0")/lib.sh"
as_root "make network namespaces"

AUDIT=$(dirname "$BIN")/rogatory-audit
[ -x "$AUDIT" ] || fail "no binary at $AUDIT"

# audit ARGUMENTS…: the program in an empty network namespace, with an empty environment
audit() {
    unshare -n env -i "$AUDIT" "$@"
}

two_authorities
head -c 20000 /dev/urandom >"$WORK/records.bin"
id=$(send ie de "$WORK/records.bin")
wait_state de "$id" held
wait_state ie "$id" closed
expect 0 "de opens it" r de package open "$id" --purpose trial --justification "hearing" --out "$WORK/opened"

# The keys come from the other side's daemon, which compared the six words.
r ie log keys --json | jq -r '.[].vkey' >"$WORK/keys.txt"
at_most "keys that are trusted" 8 "$(wc -l <"$WORK/keys.txt")" keys
for name in ie de; do
    expect 0 "$name exports its receipts" r "$name" receipt export "$id" --out "$WORK/bundle-$name"
    expect 0 "the bundle of $name is good" audit verify "$WORK/bundle-$name" --keys "$WORK/keys.txt"
    says 'signatures +good' "its signatures are"
    says 'steps +good' "its steps are"
    says 'included +good' "its receipts are in the log of $name"
done
bundle=$WORK/bundle-de
expect 0 "the same as JSON" audit verify "$bundle" --keys "$WORK/keys.txt" --json
equal "every verdict is kept apart" "good good good good 0" \
    "$(jq -r 'select(.type == "summary") | "\(.files) \(.signatures) \(.steps) \(.included) \(.exit_code)"' "$WORK/out")"

# Not a socket, not even a local one; nothing outside the folder, the keys and the loader's own files is opened.
if command -v strace >/dev/null; then
    strace -f -o "$WORK/trace" "$AUDIT" verify "$bundle" --keys "$WORK/keys.txt" >/dev/null
    equal "system calls that make or use a socket" 0 "$(grep -Ec '\b(socket|socketpair|connect|bind|sendto|sendmsg)\(' "$WORK/trace" || true)"
    equal "files opened for writing" 0 "$(grep -E '\bopen(at)?\(' "$WORK/trace" | grep -Ec 'O_WRONLY|O_RDWR|O_CREAT' || true)"
else
    fail "strace is not here"
fi

# What is wrong is said, with its file and its rule.
spoil() {
    rm -rf "$WORK/spoilt"
    cp -r "$bundle" "$WORK/spoilt"
}
note=$(basename "$(ls "$bundle"/receipts/*-handover-2.note)")
spoil
sed -i 's/"kind":"handover"/"kind":"handovex"/' "$WORK/spoilt/receipts/$note"
expect 7 "a changed receipt" audit verify "$WORK/spoilt" --keys "$WORK/keys.txt"
says "receipts/$note: file-changed" "names the file and the rule"
spoil
rm "$WORK/spoilt/receipts/$note"
expect 7 "a receipt that is missing" audit verify "$WORK/spoilt" --keys "$WORK/keys.txt"
says "file-missing" "is named"
spoil
touch "$WORK/spoilt/receipts/note"
expect 7 "a file too many" audit verify "$WORK/spoilt" --keys "$WORK/keys.txt"
says "file-added" "is named"
spoil
ln -s /etc/passwd "$WORK/spoilt/keys/more.pem"
expect 7 "a link" audit verify "$WORK/spoilt" --keys "$WORK/keys.txt"
says "symbolic link" "is not followed"

# Keys in the bundle are no keys.
grep -v 'bfj.example.de/receipts' "$WORK/keys.txt" >"$WORK/few.txt"
expect 3 "without the receiver's key nothing is claimed" audit verify "$bundle" --keys "$WORK/few.txt"
says 'bfj.example.de/receipts' "the missing key is named"
expect 3 "nine witnesses are not known" audit verify "$bundle" --keys "$WORK/keys.txt" --quorum 9
expect 3 "a folder that is not there" audit verify "$WORK/nowhere" --keys "$WORK/keys.txt"
expect 2 "no keys, no judgement" audit verify "$bundle"

# Several exports together.
compare() {
    audit compare "$@" --keys "$WORK/keys.txt"
}
# error_is WORD DESCRIPTION: of the last command, which had --json
error_is() {
    equal "$2" "$1" "$(jq -r .error "$WORK/err")"
}
expect 0 "the exports of both sides" compare "$WORK/bundle-ie" "$bundle"
says 'none of them exclude each other: [0-9]+ receipts of 1 exchange, [1-9][0-9]* checkpoints?, 0 cards' "what was compared is counted"
if grep -q remark "$WORK/out"; then fail "neither lacks anything: $(cat "$WORK/out")"; fi
expect 0 "the same as JSON" compare "$WORK/bundle-ie" "$bundle" --json
texts=$(cd "$WORK" && for note in bundle-ie/receipts/*.note bundle-de/receipts/*.note; do head -n 2 "$note" | sha256sum; done | sort -u | wc -l)
equal "each receipt counts once" "$texts" "$(jq -r .receipts "$WORK/out")"
spoil
rm "$WORK"/spoilt/receipts/*-handover-2.note
expect 0 "one side has left out the handover" compare "$WORK/bundle-ie" "$WORK/spoilt"
says "^remark  receipt-lacking: $WORK/spoilt lacks (the second signature under )?handover of .* that $WORK/bundle-ie holds .*signed by both" "it is missed"
grep -v 'bfj.example.de/log' "$WORK/keys.txt" >"$WORK/few.txt"
expect 3 "without the key of a log" audit compare "$WORK/bundle-ie" "$bundle" --keys "$WORK/few.txt" --json
equal "that key is missing" "1 bfj.example.de/log" "$(jq -r '"\(.missing | length) \(.missing[0] | split("[ +]"; "")[2])"' "$WORK/out")"
error_is not-judged "and that is the error"
mkdir "$WORK/empty"
expect 3 "an empty folder" compare "$bundle" "$WORK/empty" --json
equal "has nothing in it" statement-missing "$(jq -r '.faults[].rule' "$WORK/out")"
error_is source-unreadable "and that is the error"
expect 3 "a file that is no statement" compare "$bundle" "$bundle/VERIFY.txt"
says 'VERIFY.txt: statement-unreadable' "is named"
expect 3 "one folder alone" compare "$bundle" --json
error_is nothing-to-compare "is not compared"
spoil
cp "$bundle/log/checkpoint" "$WORK/spoilt/another.cp"
expect 0 "a file that no export has" compare "$WORK/bundle-ie" "$WORK/spoilt"
says 'remark  file-not-read: .*: another.cp; ' "is not passed over in silence"
sed 's/"clk":/"clk":1/' "$bundle/receipts/$note" >"$WORK/changed.note"
expect 7 "a changed receipt" compare "$bundle" "$WORK/changed.note" --json
equal "its signature is wrong" statement-bad-signature "$(jq -r '.faults[].rule' "$WORK/out")"
error_is badly-signed "and that is the error"

# What explain prints runs as it stands.
for file in "receipts/$note" "log/${note%.note}.leaf.json" "log/${note%.note}.tlog-proof" log/checkpoint; do
    expect 0 "explain $file" audit explain "$bundle/$file" --keys "$WORK/keys.txt" --json
    jq -er .commands "$WORK/out" >"$WORK/commands.sh"
    expect 0 "its commands, run by sh" sh "$WORK/commands.sh"
done

# The state of both, while the daemon has it and after.
expect 5 "fsck leaves a running daemon's state alone" r de fsck
for name in ie de; do
    stop "$name"
    expect 0 "fsck of $name" r "$name" fsck --json
    equal "damaged" false "$(jq -r 'select(.type == "summary") | .damaged' "$WORK/out")"
done
start ie
start de
wait_serving ie
wait_serving de
id=$(send ie de "$WORK/records.bin")
wait_state de "$id" held
kill_hard ie
kill_hard de
for name in ie de; do
    expect 0 "fsck of $name, which was killed" r "$name" fsck
done
python3 - "$WORK/de/state/ledger.db" <<'PY'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as ledger:
    ledger.execute("UPDATE exchange SET phase = 'refused'")
PY
expect 7 "somebody changed a row" r de fsck
says 'column phase' "the column is named"
says 'expected +held' "with what the statements say"
expect 0 "--repair writes it anew" r de fsck --repair
start de
wait_serving de
equal "the package is" held "$(state de "$id")"
stop de
python3 - "$WORK/de/state/slots" <<'PY'
import sys
with open(sys.argv[1], "r+b") as slots:
    byte = slots.read(1)[0]
    slots.seek(0)
    slots.write(bytes([byte ^ 1]))
PY
expect 7 "one bit of a key has rotted" r de fsck
says 'header-unreadable' "is found"
mv "$WORK/de/state/ledger.db" "$WORK/de/state/ledger.away"
expect 11 "a state without its ledger" r de fsck
