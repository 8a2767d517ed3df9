#!/usr/bin/env bash
# limit: 300 s
# runs beside the others
# The whole story of a package, with three daemons: sent, a use refused, consented to and made; passed on with consent and two
# persons, and never without; an exception; taken back; destroyed here and there, with receipts that reach whoever sent it first.
# People are played by accounts that every Debian system has.
source "$(dirname "$0")/lib.sh"
people

third=bepi.justice.example.fr

# refused REASON ACCOUNT WHAT ARGUMENTS…: by policy, with its clause
refused() {
    local reason=$1
    shift
    may 4 "$@" --json
    equal "because" "$reason" "$(jq -rs 'last | .denial.reason' "$WORK/err")"
    [ -n "$(jq -rs 'last | .denial.clause // ""' "$WORK/err")" ] || fail "no clause is named"
}

# asked: the request for a second person that the last refusal named
asked() {
    jq -rs 'last | .message' "$WORK/err" | grep -o '[0-9a-f]\{16\}$'
}

# consented PACKAGE: de has asked ie to pass it on, and ie has permitted it until a day, on a condition
consented() {
    may 0 $officer "asks to pass it on" package ask-onward "$1" --to fr --justification 'joint proceedings' --json
    local wish
    wish=$(jq -r .id "$WORK/out")
    within 30 "ie has the wish" "$BIN" --home "$WORK/ie" consent show "$wish"
    expect 0 "ie consents" r ie consent grant "$wish" --until "$day" --condition confidential --justification 'for this case'
    within 30 "de has the consent" holds de '.state == "given"' consent show "$wish"
}

# count NAME PACKAGE KIND NUMBER: so many statements of this kind are there
count() {
    holds "$1" "[.[] | select(.kind == \"$3\")] | length == $4" receipt list --package "$2"
}

# statement NAME PACKAGE KIND: the JSON of the newest one
statement() {
    local seq
    seq=$(r "$1" receipt list --package "$2" --json | jq -r "[.[] | select(.kind == \"$3\") | .seq] | max")
    r "$1" receipt show "$seq" --json | jq -r .note | sed -n 2p
}

# copied KIND: the newest word that ie has of it names the receipt of fr
copied() {
    local kind=$1 theirs
    theirs=$(r fr receipt list --package "$onward" --json | jq -r "[.[] | select(.kind == \"$kind\" and .countersigned) | .seq] | max")
    r fr receipt show "$theirs" --json | jq -rj .note >"$WORK/theirs.note"
    equal "the statement names the receipt of fr" "$(sed -n '1,2p' "$WORK/theirs.note" | sha256sum | cut -d ' ' -f 1)" \
        "$(statement ie "$id" onward | jq -r .subject)"
}

officer=daemon second=mail supervisor=bin operator=sys auditor=games
day=$(date -u -d '+30 days' +%F)
mkdir -m 1777 "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
head -c 3000000 /dev/urandom >"$WORK/large.bin"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
new_authority fr $third FR
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\", \"user:$second\"]\nsupervisor = [\"user:$supervisor\"]\noperator = [\"user:$operator\", \"uid:0\"]\nauditor = [\"user:$auditor\", \"uid:0\"]|" "$WORK/de/rogatory.toml"
sed -i 's|^\[policy\]$|[policy]\ndual_control = ["package.forward"]|' "$WORK/de/rogatory.toml"
start ie
start fr
wait_serving ie
wait_serving fr
serve de
chmod 711 "$WORK" "$WORK/de"
for pair in 'ie de' 'de ie' 'de fr' 'fr de' 'ie fr'; do
    # shellcheck disable=SC2086  # two words
    trust $pair
done

# Sent; a use is refused, consented to, and made.
TERMS=(--case IE-2026-0117 --instrument MLA-2000 --purpose prosecution,trial --retain-until 2031-12-31 --onward with-consent)
id=$(send ie de "$WORK/sample.txt" "$WORK/large.bin")
small=$(send ie de "$WORK/sample.txt")
closed=$(TERMS=("${TERMS[@]:0:8}" --onward prohibited) && send ie de "$WORK/sample.txt")
for one in "$id" "$small" "$closed"; do
    wait_state de "$one" held
    wait_state ie "$one" closed
done
refused purpose-not-permitted $officer "opens for no other purpose" package open "$id" --purpose civil-claim --justification claim --out "$WORK/out.d/1"
may 0 $officer "asks for that use" package ask-use "$id" --use civil-claim --justification claim --json
wish=$(jq -r .id "$WORK/out")
within 30 "ie has the wish" "$BIN" --home "$WORK/ie" consent show "$wish"
expect 0 "ie consents" r ie consent grant "$wish" --until "$day" --justification 'for this claim'
within 30 "de has the consent" holds de '.state == "given"' consent show "$wish"
may 0 $officer "opens for it" package open "$id" --purpose civil-claim --justification claim --out "$WORK/out.d/1"

# Not passed on without consent, for another package, to another authority, by others than officers, or where it is prohibited.
forward=(package forward "$id" --to fr --justification 'joint proceedings')
refused onward-needs-consent $officer "passes nothing on without consent" "${forward[@]}"
equal "which is stated" "onward-refused $third" "$(statement de "$id" onward-refused | jq -r '"\(.kind) \(.third)"')"
refused onward-prohibited $officer "passes nothing on that must not be" package forward "$closed" --to fr --justification x
consented "$id"
refused onward-needs-consent $officer "passes no other package on" package forward "$small" --to fr --justification x
for account in $operator $auditor; do
    refused role-not-permitted "$account" "passes nothing on" "${forward[@]}"
done
may 2 $officer "does not pass it back" package forward "$id" --to ie --justification x
may 6 $officer "passes it on to nobody unknown" package forward "$id" --to es --justification x
may 2 $officer "does not loosen its terms" "${forward[@]}" --purpose prosecution,asset-recovery
may 2 $officer "says why" package forward "$id" --to fr --justification ' '

# Passed on by two persons. Whoever does not know the first sender does not take it.
refused second-person-missing $officer "does not pass it on alone" "${forward[@]}" --retain-until 2030-12-31
request=$(asked)
may 4 $officer "does not approve it alone" approvals approve "$request"
may 0 $second "approves" approvals approve "$request" --json
rejected=$(jq -r .result.id "$WORK/out")
within 30 "fr refuses what is from nobody it knows" holds de '.state == "rejected"' package show "$rejected"
equal "and says why" originator-unknown "$(statement de "$rejected" rejected | jq -r .reason.code)"
trust fr ie
stop fr
refused second-person-missing $officer "asks again" "${forward[@]}" --retain-until 2030-12-31
request=$(asked)
may 0 $second "approves" approvals approve "$request" --json
onward=$(jq -r .result.id "$WORK/out")
equal "it is about to go" "dispatched $third 2030-12-31 prohibited confidential" \
    "$(jq -r '.result | "\(.state) \(.peer) \(.terms.retain_until) \(.terms.onward) \(.terms.restrictions | join(","))"' "$WORK/out")"
equal "no byte of the payload was copied" 2 "$(stat -c %h "$WORK/de/state/blobs/$onward")"
kill_hard de
start fr
wait_serving fr
serve de
wait_state fr "$onward" held
handed_over "$onward" de fr
within 30 "ie is told, after a kill too" count ie "$id" onward 1
copied handover
equal "and by whom" "bfj.example.de $third" "$(statement ie "$id" onward | jq -r '"\(.to.id) \(.third)"')"
statement ie "$id" onward >"$WORK/onward.json"
grep -q -e daemon -e mail -e joint "$WORK/onward.json" && fail "the statement names a person or a reason in words"
expect 0 "ie sees who has it" r ie package list --abroad --json
equal "both holders, what ends first comes first" "$third 2030-12-31 true, null 2031-12-31 null" \
    "$(jq -r "[.[] | select(.id == \"$id\") | \"\(.third) \(.terms.retain_until) \(.verified)\"] | join(\", \")" "$WORK/out")"
expect 0 "for people" r ie package list --abroad
says "$third \(from bfj.example.de\)" "the third one is named"

# fr opens what ie has sealed, under its terms alone.
expect 0 "fr opens it" r fr package open "$onward" --purpose trial --justification hearing --out "$WORK/out.d/fr"
cmp "$WORK/out.d/fr/data/large.bin" "$WORK/large.bin" || fail "fr has other content"
expect 4 "fr opens for no other purpose" r fr package open "$onward" --purpose civil-claim --justification x --out "$WORK/out.d/fr2"
says 'ask bfj.example.de to ask mla.example.ie' "it is said who has to be asked"
trust fr ie >/dev/null
expect 4 "fr passes nothing on" r fr package forward "$onward" --to ie --justification x --json
expect 4 "fr does not ask whoever passed it on" r fr package ask-use "$onward" --use civil-claim --justification x
says 'mla.example.ie' "which is named"
expect 0 "its receipts can be taken along" r fr receipt export "$onward" --out "$WORK/bundle"
for one in ie de fr; do
    r $one log keys --json | jq -r '.[].vkey'
done >"$WORK/keys.txt"
expect 0 "and verified" "$(dirname "$BIN")/rogatory-audit" verify "$WORK/bundle" --keys "$WORK/keys.txt"
expect 0 "those of de" r de receipt export "$id" --out "$WORK/bundle.de"
expect 0 "too" "$(dirname "$BIN")/rogatory-audit" verify "$WORK/bundle.de" --keys "$WORK/keys.txt"

# A declared exception takes two persons.
threat=(package open "$small" --purpose public-security --exception threat --justification 'a bomb' --out "$WORK/out.d/2")
refused second-person-missing $officer "declares a threat" "${threat[@]}"
request=$(asked)
may 0 $second "approves" approvals approve "$request"
may 0 $officer "opens" "${threat[@]}"
within 30 "ie is told" count ie "$small" access 1

# What ie makes stricter reaches fr; what it takes back is destroyed everywhere, and ie has the receipts.
expect 0 "ie asks for reports" r ie package restrict "$id" --use-report --purpose trial --justification 'question of the court'
within 30 "fr has that" holds fr '.terms.use_report and .terms.purposes == ["trial"]' package show "$onward"
within 30 "de reports passing on" holds ie 'any(.[]; .kind == "use-report")' receipt list --package "$id"
equal "among what was done" "access access-denied onward onward-refused" "$(statement ie "$id" use-report | jq -r '[.uses[].kind] | unique | join(" ")')"
stop fr
expect 0 "ie takes it back" r ie package withdraw "$id" --justification 'the order was annulled'
within 30 "de has to destroy it" holds de 'any(.problems[]; .code == "destruction-due")' status
may 0 $supervisor "destroys it at de" package purge --due --yes
wait_state ie "$id" destroyed
kill_hard de
start fr
wait_serving fr
serve de
within 30 "fr has to destroy it" holds fr 'any(.problems[]; .code == "destruction-due")' status
expect 0 "ie sees that this is overdue" r ie package list --abroad --json
equal "at fr" "$third true" "$(jq -r ".[] | select(.id == \"$id\") | \"\(.third) \(.overdue)\"" "$WORK/out")"
expect 0 "fr destroys it" r fr package purge "$onward" --justification 'taken back' --yes
wait_state de "$onward" destroyed
within 30 "ie is told of that too" count ie "$id" onward 2
copied destroyed
expect 0 "nothing of it is left abroad" r ie package list --abroad --json
equal "that is" 0 "$(jq "[.[] | select(.id == \"$id\")] | length" "$WORK/out")"
for one in ie de fr; do
    stop $one
    expect 0 "the ledger of $one is whole" r $one fsck
done
