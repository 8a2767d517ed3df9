#!/usr/bin/env bash
# limit: 240 s
# runs beside the others
# What must not work, and says so: each refusal has its exit code, names its cause, and leaves nothing behind.
source "$(dirname "$0")/lib.sh"

# cause NAME PEER ID: why a package waits: its own cause, or that of the way to the peer
cause() {
    local code
    code=$(r "$1" transfer show "$3" --json | jq -r '.fault.code // empty')
    [ -n "$code" ] || code=$(r "$1" peer show "$2" --json | jq -r '.fault.code // empty')
    echo "$code"
}

# is_caused NAME PEER ID CAUSE
is_caused() {
    [ "$(cause "$1" "$2" "$3")" = "$4" ]
}

sample=$WORK/sample.txt
echo sample >"$sample"
unknown=00000000000000000000000000000000

# Before anything runs.
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
code=0
r ie init --authority mla.example.ie --name X --country IE --listen 127.0.0.1:1 --alias ie >"$WORK/out" 2>"$WORK/err" || code=$?
[ "$code" -ne 0 ] || fail "init overwrote an authority"
ok "init does not overwrite (exit $code)"
loose=$(find "$WORK/ie/keys" -type f \( -name '*.key' -o -name '*key*' \) ! -name '*.pem' -perm /077)
[ -z "$loose" ] || fail "secrets that others can read: $loose"
ok "no secret can be read by others"
expect 10 "status without a daemon" r ie status
expect 10 "list without a daemon" r ie package list
expect 2 "an unknown command" r ie packages
expect 2 "an unknown option" r ie status --colour
expect 2 "a country of three letters" "$BIN" --home "$WORK/xx" init --authority a.example.xx --name X --country XXX --listen 127.0.0.1:1
[ ! -e "$WORK/xx/keys" ] || fail "a refused init left keys"

# Configuration: all faults at once, with line and suggestion, and the daemon refuses for the same reasons.
expect 0 "the configuration that init wrote" r ie check config
cp -a "$WORK/ie" "$WORK/broken"
printf '\n[limit]\npackage_max = "2 TiB"\n' >>"$WORK/broken/rogatory.toml"
sed -i 's/^country = .*/country = "Ireland"/' "$WORK/broken/rogatory.toml"
expect 3 "two faults in a configuration" r broken check config
says 'limits' "the unknown section gets a suggestion"
says 'country' "the other fault is reported with it"
says "line $(grep -n '^country' "$WORK/broken/rogatory.toml" | cut -d : -f 1)|:$(grep -n '^country' "$WORK/broken/rogatory.toml" | cut -d : -f 1)" "with its line"
expect 3 "a daemon with that configuration" r broken serve
ROGATORY__LIMITS__PACKAGE_MAX=much expect 3 "a fault in an override" r ie check config
ROGATORY__LIMITS__PACKAGE_MAX="1 GiB" expect 0 "an override" r ie config show --origin
says 'ROGATORY__LIMITS__PACKAGE_MAX' "the origin of an override is shown"

# Pairing.
start ie
wait_serving ie
expect 8 "a package that nobody knows" r ie package show "$unknown"
expect 6 "a peer that nobody knows" r ie peer show fr
expect 0 "ie adds the card of de" r ie peer add "$WORK/de/de.card"
expect 6 "six words of another card" r ie peer accept de --fingerprint "$(fingerprint ie)"
equal "de is still not accepted" added "$(r ie peer show de --json | jq -r .state)"
expect 6 "sending to a peer that is not accepted" r ie package send --to de "${TERMS[@]}" "$sample"
expect 2 "accepting without comparing" r ie peer accept de
start de
wait_serving de
expect 0 "ie accepts de" r ie peer accept de --fingerprint "$(fingerprint de)"
sed 's/"country":"DE"/"country":"FR"/' "$WORK/de/de.card" >"$WORK/forged.card"
expect 6 "a card that was changed" r ie peer add "$WORK/forged.card"
expect 0 "a card that is here already" r ie peer add "$WORK/de/de.card"
says 'nothing has changed' "which is said"
expect 6 "the own card as a peer" r ie peer add "$WORK/ie/ie.card"

# de has not accepted ie yet: the package waits, with the cause, and goes on by itself afterwards.
expect 12 "waiting for a peer that refuses" r ie package send --to de "${TERMS[@]}" --wait --timeout 3s --json "$sample"
id=$(r ie package list --json | jq -er 'first | .id')
within 30 "the cause is the peer" is_caused ie de "$id" peer-refused-authority
trust de ie
wait_state ie "$id" closed 90
ok "it went on by itself once de had accepted ie"

# The peer is away.
stop de
expect 5 "a ping to a peer that is away" r ie peer ping de --timeout 90s
expect 12 "waiting for a peer that is away" r ie package send --to de "${TERMS[@]}" --wait --timeout 8s --json "$sample"
away=$(r ie package list --json | jq -er '[.[] | select(.state == "dispatched")] | first | .id')
within 30 "the cause is the way to the peer" is_caused ie de "$away" unreachable
start de
wait_serving de
wait_state ie "$away" closed 90
ok "it went on by itself once de was back"

# Policy.
past=(--case IE-1 --instrument EIO --purpose prosecution --onward prohibited)
expect 4 "sending what must already be destroyed" r ie package send --to de "${past[@]}" --retain-until 2020-01-01 "$sample"
says 'retention' "the rule is named"
expect 4 "sending what must no longer be used" r ie package send --to de "${past[@]}" --retain-until 2031-12-31 --sunset 2020-01-01 "$sample"
says 'sunset' "the rule is named"
expect 2 "a purpose that does not exist" r ie package send --to de --case IE-1 --instrument EIO --purpose prosecutoin --retain-until 2031-12-31 "$sample"
says 'prosecution' "with a suggestion"
expect 4 "opening for another purpose" r de package open "$away" --purpose civil-claim --justification "x" --out "$WORK/no" --json
equal "the refusal as JSON" purpose "$(jq -rs 'last | .denial.rule // .rule' "$WORK/err")"
equal "with what to do next" true "$(jq -s 'last | .next | test("package ask-use .* --use civil-claim")' "$WORK/err")"
expect 2 "the sender opening what it sent" r ie package open "$away" --purpose prosecution --justification "x" --out "$WORK/no"
[ ! -e "$WORK/no" ] || fail "a refused opening left $WORK/no"

# What would be decided is told before anybody asks in earnest, and with the same words.
entries=$(r de log status --json | jq .size)
expect 0 "de asks about another purpose" r de policy explain "$away" --use civil-claim --json
equal "it would be denied" "deny purpose purpose-not-permitted" "$(jq -r '"\(.decision) \(.rule) \(.reason)"' "$WORK/out")"
equal "for the person who asks" "$(id -un)" "$(jq -r .actor "$WORK/out")"
equal "each rule is heard" true "$(jq '.rules | length > 10 and all(.says != null)' "$WORK/out")"
expect 0 "de asks about a purpose of the terms" r de policy explain "$away" --use trial
says 'decision +permit' "it would be permitted"
expect 0 "de asks about a declaration" r de policy explain "$away" --use civil-claim --related
says 'rule related +denies, related-not-provided' "an EIO knows no related proceedings"
expect 4 "opening under that declaration" r de package open "$away" --purpose civil-claim --related --justification "x" --out "$WORK/no"
equal "questions are not logged, the refusal is" $((entries + 1)) "$(r de log status --json | jq .size)"
expect 2 "the sender asks about opening what it sent" r ie policy explain "$away" --use trial
expect 8 "a package that nobody knows" r de policy explain 00112233445566778899aabbccddeeff --use trial

# MLA Convention 2000 art. 23(1)(b): related proceedings need no consent, but a declaration, which stays in the record.
mla=$(r ie package send --to de --case IE-2 --instrument MLA-2000 --purpose investigation --retain-until 2031-12-31 --onward prohibited --json "$sample" |
    jq -ers 'map(select(.type? == "summary")) | last | .id')
wait_state de "$mla" held 60
expect 4 "civil proceedings, undeclared" r de package open "$mla" --purpose civil-proceedings --justification "x" --out "$WORK/no"
says '23' "the article is named"
expect 0 "civil proceedings, declared related" r de package open "$mla" --purpose civil-proceedings --related --justification "damages of the same fraud" --out "$WORK/related"
expect 4 "supervision is no proceeding" r de package open "$mla" --purpose supervision --related --justification "x" --out "$WORK/no"

# Privilege under review: nobody reads it, for no purpose.
privileged=$(send ie de --restriction under-privilege-review "$sample")
wait_state de "$privileged" held 60
expect 4 "what a court has still to look at" r de package open "$privileged" --purpose trial --justification "x" --out "$WORK/no"
says 'under-privilege-review' "the restriction is named"
[ ! -e "$WORK/no" ] || fail "a refused opening left $WORK/no"

# The policy in force is stated in the log when it comes into force, and receipts name it.
policies() {
    r de receipt list --json | jq '[.[] | select(.kind == "policy-adopted")] | length'
}
pol=$(r de policy show --json | jq -r .pol)
equal "a policy is named by the digest of its text" "$pol" "$(r de policy show --json | jq -j .description | sha256sum | cut -d ' ' -f 1)"
seq=$(r de receipt list --package "$mla" --json | jq '[.[] | select(.kind == "access")][0].seq')
expect 0 "the receipt of an opening" r de receipt show "$seq"
says "\"pol\":\"$pol\"" "names the policy in force"
equal "the log has it" 1 "$(policies)"
stop de
sed -i 's|^\[policy\]$|[policy]\nhandling_max = "H1"|' "$WORK/de/rogatory.toml"
for run in first second; do
    start de
    wait_serving de
    equal "the $run start under another policy: the log has both" 2 "$(policies)"
    [ "$run" = second ] || stop de
done
expect 0 "the earlier policy" r de policy show "$pol"
says 'in force +no' "is still known"
expect 0 "the policy in force" r de policy show
says 'highest handling +H1' "has the new parameter"
expect 8 "a policy that was never in force" r de policy show "$(printf '%064d' 0)"
expect 2 "what is no digest" r de policy show latest

# Tables of cases.
expect 0 "the decision table" r de policy test "$ROOT/tests/policy/decisions.toml"
sed 's/decision = "permit", rule = "related"/decision = "deny"/' "$ROOT/tests/policy/decisions.toml" >"$WORK/wrong.toml"
expect 1 "a table that expects something else" r de policy test "$WORK/wrong.toml" --json
equal "the cases that differ are named" 6 "$(jq -s '[.[] | select(.type == "differs" and .rule == "related")] | length' "$WORK/out")"
expect 2 "a table that is none" r de policy test "$sample"

# Inputs.
mkdir "$WORK/inputs"
refuse_input() {
    local code=0 before
    before=$(r ie package list --json | jq length)
    r ie package send --to de "${TERMS[@]}" "$WORK/inputs" >"$WORK/out" 2>"$WORK/err" || code=$?
    [ "$code" -ne 0 ] || fail "$1 was sent"
    equal "packages after $1 was refused (exit $code)" "$before" "$(r ie package list --json | jq length)"
    rm -rf "${WORK:?}/inputs"/*
}
ln -s /etc/hostname "$WORK/inputs/link"
refuse_input "a symbolic link"
mkfifo "$WORK/inputs/pipe"
refuse_input "a pipe"
echo x >"$WORK/inputs/a%0Ab"
refuse_input "a name that BagIt programs read differently"
echo x >"$WORK/inputs/Case.txt"
echo x >"$WORK/inputs/case.txt"
refuse_input "two names that differ only in case"
echo x >"$WORK/inputs/$(printf 'gnp.\xe2\x80\xaetxt')"
refuse_input "a name with a character that turns the direction of writing"
expect 0 "nothing is wrong with ie" r ie status --json
stop ie
stop de
