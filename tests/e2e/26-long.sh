#!/usr/bin/env bash
# limit: 600 s
# Long lists are read to their end. A package on which 5,000 statements stand is restricted, taken back (opening is refused),
# destroyed, checked, exported whole by both sides and verified; lists of 3,000 and more packages, receipts, cases and wishes
# for consent are whole by command line and by API, whose parts say that they are parts.
#
#   STATEMENTS   how many there are to be of one package [default: 5000]
#   ENTRIES      how many of each list [default: 3000]

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
STATEMENTS=${STATEMENTS:-5000}
ENTRIES=${ENTRIES:-3000}
export WORK BIN STATEMENTS ENTRIES
AUDIT=$(dirname "$BIN")/rogatory-audit
[ -x "$AUDIT" ] || fail "no program for auditors at $AUDIT"

# calls NAME FUNCTION ARGUMENTS…: a function of long.py against the API of this authority
calls() {
    python3 "$ROOT/tests/e2e/long.py" "$WORK/$1/api.sock" "${@:2}" || fail "$2: $(tail -n 3 "$WORK/$1.log")"
}

# took WHAT COMMAND…: says how long it took
took() {
    local what=$1 began
    shift
    began=$(now_ms)
    "$@"
    echo "        $what: $(($(now_ms) - began)) ms"
}

echo "--- two authorities, $ENTRIES packages each of a case of its own, $STATEMENTS statements of one"
two_authorities
printf 'an exhibit\n' >"$WORK/exhibit.txt"
id=$(send ie de "$WORK/exhibit.txt")
wait_state de "$id" held 60
took "$ENTRIES packages sent and received" calls ie send "$ENTRIES" de
within 120 "every package is held" holds de "[.[] | select(.state == \"held\")] | length == $((ENTRIES + 1))" package list
took "$STATEMENTS refused openings" calls de refused "$id" "$STATEMENTS"

echo "--- it is opened all the same"
expect 0 "de opens it" r de package open "$id" --purpose prosecution --justification 'hearing' --out "$WORK/opened"
took "an opening among $STATEMENTS statements" \
    expect 0 "de opens it again" r de package open "$id" --purpose prosecution --justification 'again' --out "$WORK/again"

echo "--- stricter terms, and taking it back, are in force at once"
expect 0 "ie restricts it" r ie package restrict "$id" --purpose prosecution --justification 'order of 3 December'
within 60 "the terms reach de" holds de '.terms.purposes == ["prosecution"]' package show "$id"
expect 4 "a use that is not permitted any more" r de package open "$id" --purpose trial --justification 'hearing' --out "$WORK/no"
expect 0 "ie takes it back" r ie package withdraw "$id" --justification 'the order was annulled'
within 60 "that reaches de" holds de '[.receipts[] | select(.kind == "restriction-changed")] | length == 2' package show "$id"
expect 4 "what was taken back is not opened" r de package open "$id" --purpose prosecution --justification 'hearing' --out "$WORK/no"
[ ! -e "$WORK/no" ] || fail "something was written"
expect 0 "it is due for destruction" r de package purge --due --dry-run
says "$id" "and named"
expect 0 "de checks it" r de package verify "$id"
expect 0 "de destroys it" r de package purge --due --yes
wait_state de "$id" destroyed 60
wait_state ie "$id" destroyed 60

echo "--- both sides export all of it, and it verifies"
r ie log keys --json | jq -r '.[].vkey' >"$WORK/keys.txt"
for side in ie de; do
    expect 0 "$side checkpoints its log" r "$side" log checkpoint
    took "the export of $side" expect 0 "$side exports the receipts" r "$side" receipt export "$id" --out "$WORK/bundle-$side" --json
    count=$(r "$side" receipt list --package "$id" --json | jq length)
    equal "receipts in the export of $side" "$count" "$(find "$WORK/bundle-$side/receipts" -name '*.note' | wc -l)"
    (cd "$WORK/bundle-$side" && sha256sum --quiet --strict -c manifest-sha256.txt) || fail "sha256sum refuses the files"
    took "the verdict on the export of $side" expect 0 "rogatory-audit on the export of $side" "$AUDIT" verify "$WORK/bundle-$side" --keys "$WORK/keys.txt" --json
    equal "every verdict on it" "good good good good" \
        "$(jq -r 'select(.type == "summary") | "\(.files) \(.signatures) \(.steps) \(.included)"' "$WORK/out")"
    # The command of VERIFY.txt that takes the notes apart; openssl would be started ten thousand times.
    sed -n 's/^   \(python3 -c .*\)/\1/p' "$WORK/bundle-$side/VERIFY.txt" >"$WORK/notes.sh"
    expect 0 "the notes of $side, as VERIFY.txt says" bash -c "cd '$WORK/bundle-$side' && bash -euo pipefail '$WORK/notes.sh'"
    says "ok: $count notes" "all of them"
done
[ "$(r de receipt list --package "$id" --json | jq length)" -gt "$STATEMENTS" ] || fail "there are fewer than $STATEMENTS"
rm "$WORK/bundle-de/receipts"/*-restriction-changed-1.note
expect 7 "an export without the withdrawal is refused" "$AUDIT" verify "$WORK/bundle-de" --keys "$WORK/keys.txt"

echo "--- lists of $ENTRIES and more are whole"
took "$ENTRIES wishes for consent" calls de wishes "$ENTRIES"
within 120 "they reach ie" holds ie "length == $ENTRIES" consent list
for side in ie de; do
    calls "$side" lists "$ENTRIES"
    for list in "package list" "receipt list" "consent list"; do
        # shellcheck disable=SC2086  # a noun and a verb
        count=$(r "$side" $list --json | jq length)
        [ "$count" -ge "$ENTRIES" ] || fail "$side: $list --json has $count entries"
        # shellcheck disable=SC2086
        equal "$side: lines of $list" "$((count + 1))" "$(r "$side" $list | wc -l)"
    done
done
count=$(r de case list --json | jq length)
[ "$count" -ge "$ENTRIES" ] || fail "case list --json has $count entries"
equal "de: lines of case list" "$((count + 1))" "$(r de case list | wc -l)"
count=$(r ie package list --abroad --json | jq length)
equal "packages abroad" "$ENTRIES" "$count"
stop de
took "$ENTRIES packages that wait" calls ie queue "$ENTRIES" de
equal "ie: transfers" "$ENTRIES" "$(r ie transfer list --json | jq length)"
equal "ie: lines of transfer list" "$((ENTRIES + 1))" "$(r ie transfer list | wc -l)"
stop ie
for side in ie de; do
    expect 0 "fsck of $side" r "$side" fsck
done
