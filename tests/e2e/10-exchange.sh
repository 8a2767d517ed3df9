#!/usr/bin/env bash
# limit: 180 s
# The session by hand that the README shows: send, receive, open, refuse, export, and check all of it with other programs.
source "$(dirname "$0")/lib.sh"

two_authorities
expect 0 "ie reaches de" r ie peer ping de

evidence=$WORK/evidence
mkdir -p "$evidence/phone/media"
printf 'From: a@trade.example\r\nSubject: Invoice 7\r\n\r\nPlease pay.\r\n' >"$evidence/mail.eml"
printf 'start,seconds,from,to\n2026-08-01T10:00:00Z,61,+447700900001,+447700900002\n' >"$evidence/calls.csv"
head -c 3500000 /dev/urandom >"$evidence/phone/media/clip.mp4"
: >"$evidence/phone/empty.txt"
printf 'overview\n' >"$evidence/Übersicht – Telefon.txt"
printf 'report of the seizure\n' >"$WORK/report.txt"

# A file and a folder, and the handover receipt before the command ends.
expect 0 "ie sends a folder and a file" r ie package send --to de "${TERMS[@]}" --title "Phone of 14 September" --wait --json \
    "$evidence" "$WORK/report.txt"
id=$(jq -ers 'map(select(.type? == "summary")) | last | .id' "$WORK/out")
[[ $id =~ ^[0-9a-f]{32}$ ]] || fail "the last line of send names no package: $id"
wait_state de "$id" held 20
wait_state ie "$id" closed 20
ok "package $id is held by de and closed at ie"
equal "ie sees who holds it, and that it is in time" "$id false" "$(r ie package list --abroad --json | jq -r '.[] | "\(.id) \(.overdue)"')"
handed_over "$id" ie de
ok "both hold the same handover receipt, signed by both"
equal "de lists the package by a prefix of its id" "$id" "$(r de package show "${id:0:8}" --json | jq -r .id)"
expect 0 "de verifies the package" r de package verify "$id"

# Opening: the permitted purpose, another one, one item, a place that is taken.
why=(--justification "hearing of 3 December")
expect 0 "de opens it for prosecution" r de package open "$id" --purpose prosecution "${why[@]}" --out "$WORK/opened"
diff -r "$evidence" "$WORK/opened/data/evidence" || fail "the opened folder differs from what was sent"
cmp "$WORK/report.txt" "$WORK/opened/data/report.txt" || fail "the opened file differs from what was sent"
ok "what was opened equals what was sent"
valid_bag "$WORK/opened"
expect 4 "civil-claim is refused" r de package open "$id" --purpose civil-claim "${why[@]}" --out "$WORK/refused"
says 'purpose' "the refusal names the rule"
says 'prosecution' "the refusal names the term"
[ ! -e "$WORK/refused" ] || fail "a refused opening left $WORK/refused"
equal "the refusal is a statement" 1 "$(r de receipt list --package "$id" --json | jq '[.[] | select(.kind == "access-denied")] | length')"
equal "so is the opening" 1 "$(r de receipt list --package "$id" --json | jq '[.[] | select(.kind == "access")] | length')"
expect 0 "de opens one item" r de package open "$id" --purpose trial "${why[@]}" --out "$WORK/single" --item evidence/calls.csv
found=$(find "$WORK/single" -type f -name calls.csv)
cmp "$evidence/calls.csv" "$found" || fail "the single item differs"
[ -z "$(find "$WORK/single" -name clip.mp4)" ] || fail "more was opened than the one item"
ok "the single item equals what was sent, and nothing else was opened"
mkdir "$WORK/taken"
code=0
r de package open "$id" --purpose trial "${why[@]}" --out "$WORK/taken" >"$WORK/out" 2>"$WORK/err" || code=$?
[ "$code" -ne 0 ] || fail "an opening wrote into a folder that was there before"
[ -z "$(ls -A "$WORK/taken")" ] || fail "a refused opening left files"
ok "a folder that is there already is refused (exit $code)"

# The age file as received, read by Debian's age.
expect 0 "de exports the age file" r de package export "$id" --age "$WORK/exported.age" --purpose prosecution --justification archive
age -d -i "$WORK/de/keys/age.key" "$WORK/exported.age" | tar t >"$WORK/listing" || fail "age or tar refuses the export"
equal "age | tar lists the bag declaration first" bagit.txt "$(head -n 1 "$WORK/listing")"
equal "age | tar lists every item" 6 "$(grep -c '^data/.*[^/]$' "$WORK/listing")"
mkdir "$WORK/by-hand"
age -d -i "$WORK/de/keys/age.key" "$WORK/exported.age" | tar x -C "$WORK/by-hand" || fail "tar refuses the export"
valid_bag "$WORK/by-hand"

# The receipts, checked as VERIFY.txt says, and once more by the program in docs/auditor.md.
# shellcheck disable=SC2016  # fences, not commands
sed -n '/^```python$/,/^```$/p' "$ROOT/docs/auditor.md" | sed '1d;$d' >"$WORK/check-receipts.py"
for side in ie de; do
    bundle=$WORK/bundle-$side
    expect 0 "$side exports the receipts" r "$side" receipt export "$id" --out "$bundle"
    (cd "$bundle" && sha256sum --quiet --strict -c manifest-sha256.txt) || fail "sha256sum refuses the files of $bundle"
    ok "sha256sum -c manifest-sha256.txt in the export of $side"
    cp -a "$bundle" "$bundle.work"
    # Its commands are the indented lines that begin so.
    sed -n 's/^   \(\(sha256sum\|(set -e;\|python3\) .*\)/\1/p' "$bundle/VERIFY.txt" >"$WORK/verify-$side.sh"
    equal "commands of VERIFY.txt" 3 "$(wc -l <"$WORK/verify-$side.sh")"
    grep -q ' openssl ' "$WORK/verify-$side.sh" || fail "VERIFY.txt has no command for openssl"
    (cd "$bundle.work" && bash -euo pipefail "$WORK/verify-$side.sh") >"$WORK/verify-$side.log" 2>&1 ||
        fail "a command of VERIFY.txt failed: $(tail -n 3 "$WORK/verify-$side.log")"
    signatures=$(find "$bundle" -name '*.note' -exec cat {} + | grep -c '^— ')
    verified=$(grep -c 'Signature Verified Successfully' "$WORK/verify-$side.log")
    equal "signatures in the export of $side that openssl verified as VERIFY.txt says" "$signatures" "$verified"
    r "$side" log keys >"$WORK/keys-$side.txt"
    expect 0 "the auditor's program accepts them" python3 "$WORK/check-receipts.py" "$WORK/keys-$side.txt" "$bundle" "$WORK/exported.age"
    says "$signatures signatures" "and checked each of the $signatures signatures"
done
note=$(find "$WORK/bundle-de" -name '*.note' | sort | head -n 1)
sed -i 's/"kind":"\(.\)/"kind":"x\1/' "$note"
expect 1 "the auditor's program refuses a changed receipt" python3 "$WORK/check-receipts.py" "$WORK/keys-de.txt" "$WORK/bundle-de"

expect 0 "de has a log" r de log status --json
[ "$(jq .size "$WORK/out")" -gt 0 ] || fail "the log of de is empty"
stop ie
stop de
