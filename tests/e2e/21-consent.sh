#!/usr/bin/env bash
# limit: 200 s
# runs beside the others
# A use that the terms do not name is asked of the sender, who gives or refuses its consent; what was given holds for one
# package and one use, until a day. People are played by accounts that every Debian system has.
source "$(dirname "$0")/lib.sh"
people

# refused REASON ACCOUNT WHAT ARGUMENTS…: by policy
refused() {
    local reason=$1
    shift
    may 4 "$@" --json
    equal "because" "$reason" "$(jq -rs 'last | .denial.reason' "$WORK/err")"
}

# answered NAME STATE WHAT: the wish is in this state at de
answered() {
    within 30 "$3" holds de ".state == \"$2\"" consent show $1
}

# reaches WHAT: the last wish of de is known to ie; WISH is its name
reaches() {
    WISH=$(jq -r .id "$WORK/out")
    within 30 "$1" "$BIN" --home "$WORK/ie" consent show "$WISH"
}

officer=daemon operator=sys auditor=games
mkdir -m 1777 "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\"]\noperator = [\"user:$operator\", \"uid:0\"]\nauditor = [\"user:$auditor\", \"uid:0\"]|" "$WORK/de/rogatory.toml"
start ie
wait_serving ie
serve de
chmod 711 "$WORK" "$WORK/de"
trust ie de
trust de ie
TERMS=(--case IE-2026-0117 --instrument MLA-2000 --purpose prosecution --retain-until 2031-12-31 --onward with-consent
    --restriction special-categories,vulnerable-persons --offence fraud --offence 'money laundering' --necessity 'no other proof of the payments'
    --proportionality 'one account, one month')
id=$(send ie de "$WORK/sample.txt")
other=$(send ie de "$WORK/sample.txt")
for one in "$id" "$other"; do
    wait_state de "$one" held
    wait_state ie "$one" closed
done

# Why it is sent travels beside the offer; no receipt names it.
r de package show "$id" --json >"$WORK/shown.json"
equal "de reads the grounds" "fraud, money laundering; no other proof of the payments; one account, one month" "$(jq -r '"\(.offences | join(", ")); \(.necessity); \(.proportionality)"' "$WORK/shown.json")"
for seq in $(jq -r '.receipts[].seq' "$WORK/shown.json"); do
    r de receipt show "$seq" --json | jq -r .note
done >"$WORK/notes.txt"
grep -q special-categories "$WORK/notes.txt" || fail "the terms lack a restriction"
grep -q -e fraud -e laundering -e payments -e 'one month' "$WORK/notes.txt" && fail "a receipt names the grounds"
expect 2 "ie names no offence that is too long" r ie package send --to de "${TERMS[@]}" --offence "$(printf 'x%.0s' {1..257})" "$WORK/sample.txt"

open=(package open "$id" --purpose civil-claim --justification 'claim of the injured party' --out)
ask=(package ask-use "$id" --use civil-claim --justification 'claim of the injured party, 4 O 12/27')
refused purpose-not-permitted $officer "opens for no other purpose" "${open[@]}" "$WORK/out.d/1"
refused role-not-permitted $operator "asks for nothing as an operator" "${ask[@]}"
refused role-not-permitted $auditor "asks for nothing as an auditor" "${ask[@]}"
may 9 $officer "need not ask for what is permitted" package ask-use "$id" --use prosecution --justification x
may 2 $officer "asks for no use that there is not" package ask-use "$id" --use curiosity --justification x
may 2 $officer "does not ask to give it back to its sender" package ask-onward "$id" --to mla.example.ie --justification x

# Refused, while ie is away and de is killed between.
stop ie
may 0 $officer "asks while ie is away" "${ask[@]}" --json
equal "and waits" waiting "$(jq -r .state "$WORK/out")"
may 9 $officer "asks once" "${ask[@]}"
kill_hard de
serve de
start ie
wait_serving ie
WISH=$(r de consent list --json | jq -r '.[0].id')
within 30 "ie has the wish once it is back" "$BIN" --home "$WORK/ie" consent show "$WISH"
r ie consent show "$WISH" --json >"$WORK/wish.json"
equal "with its words" "civil-claim: claim of the injured party, 4 O 12/27" "$(jq -r '"\(.purpose): \(.justification)"' "$WORK/wish.json")"
jq -e 'tostring | contains("daemon") | not' "$WORK/wish.json" >/dev/null || fail "the wish names a person"
may 2 $officer "does not answer for the sender" consent grant "$WISH" --until 2031-01-01 --justification x
expect 2 "ie gives nothing for a day that is over" r ie consent grant "$WISH" --until 2020-01-01 --justification x
expect 0 "ie refuses" r ie consent refuse "$WISH" --justification 'not within the order'
answered "$WISH" refused "de is told"
equal "and why" 'not within the order' "$(r de consent show "$WISH" --json | jq -r .answer)"
expect 9 "ie has answered, once" r ie consent grant "$WISH" --until 2031-01-01 --justification x
refused purpose-not-permitted $officer "still opens for no other purpose" "${open[@]}" "$WORK/out.d/1"

# Given, until a day and under a condition.
day=$(date -u -d '+20 days' +%F)
may 0 $officer "asks again" "${ask[@]}" --json
reaches "ie has the second wish"
expect 0 "ie gives its consent" r ie consent grant "$WISH" --until "$day" --condition confidential,return --justification 'for this claim alone'
answered "$WISH" given "de has it"
wait_state ie "$id" closed
equal "with its conditions" "confidential return" "$(r de consent show "$WISH" --json | jq -r '.conditions | join(" ")')"
may 0 $auditor "sees wishes and answers" consent list
may 0 $officer "is told by explain what speaks for it" policy explain "$id" --use civil-claim --json
equal "the consent" permits "$(jq -r '.rules[] | select(.rule == "consent") | .says' "$WORK/out")"
may 0 $officer "opens with the consent" "${open[@]}" "$WORK/out.d/1"
equal "what was opened" evidence "$(cat "$(find "$WORK/out.d/1" -name sample.txt)")"
seq=$(r de receipt list --package "$id" --json | jq -r '[.[] | select(.kind == "access") | .seq] | max')
equal "the statement says on what it stands" "consent civil-claim" "$(r de receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r '"\(.reason.code) \(.purpose)"')"
refused purpose-not-permitted $officer "opens no other package with it" package open "$other" --purpose civil-claim --justification x --out "$WORK/out.d/2"
refused purpose-not-permitted $officer "opens it for nothing else" package open "$id" --purpose asset-recovery --justification x --out "$WORK/out.d/2"

# A report in between: what is opened after it continues the record of openings.
may 0 $officer "reports what was done" package report "$id"
may 0 $officer "opens after the report" package open "$id" --purpose prosecution --justification hearing --out "$WORK/out.d/3"

# Passing on.
may 0 $officer "asks to pass it on" package ask-onward "$id" --to bepi.justice.example.fr --justification 'joint proceedings' --json
reaches "ie has the wish to pass on"
expect 0 "ie gives it" r ie consent grant "$WISH" --until "$day" --justification agreed
answered "$WISH" given "de has that too"

# Two answers at once, then the consent ends: by its day, and by stricter terms.
may 0 $officer "asks for the other package" package ask-use "$other" --use civil-claim --justification 'same claim' --json
reaches "ie has that wish"
racing=()
for how in 1 2; do
    (code=0
    r ie consent grant "$WISH" --until "$day" --justification "answer $how" >/dev/null 2>&1 || code=$?
    echo $code >"$WORK/code.$how") &
    racing+=($!)
done
wait "${racing[@]}"
equal "of two answers at once, one is given" "0 9" "$(sort -n "$WORK/code.1" "$WORK/code.2" | xargs)"
answered "$WISH" given "de has one"
may 0 $officer "opens with it" package open "$other" --purpose civil-claim --justification claim --out "$WORK/out.d/4"
expect 0 "ie binds it by stricter terms" r ie package restrict "$other" --no-onward --justification 'new order'
within 30 "de has them" holds de 'any(.[]; .kind == "restriction-changed")' receipt list --package $other
refused purpose-not-permitted $officer "opens no more on the earlier consent" package open "$other" --purpose civil-claim --justification claim --out "$WORK/out.d/5"
refused onward-prohibited $officer "need not ask to pass on what must not be" package ask-onward "$other" --to bepi.justice.example.fr --justification x
# A wish that crosses stricter terms on its way.
stop ie
may 0 $officer "asks while the terms are changed" package ask-use "$id" --use asset-recovery --justification 'the same money' --json
WISH=$(jq -r .id "$WORK/out")
kill_hard de
start ie
wait_serving ie
expect 0 "ie binds the package by stricter terms meanwhile" r ie package restrict "$id" --retain-until 2030-12-31 --justification 'new order'
serve de
within 30 "ie has the wish" "$BIN" --home "$WORK/ie" consent show "$WISH"
equal "the terms in force stay what they are" 2030-12-31 "$(r ie package show "$id" --json | jq -r .terms.retain_until)"
expect 2 "ie does not answer what was asked under other terms" r ie consent grant "$WISH" --until "$day" --justification x
within 30 "de has the terms" holds de '.terms.retain_until == "2030-12-31"' package show $id
answered "$WISH" lapsed "the wish lapses"
may 0 $officer "asks again" package ask-use "$id" --use asset-recovery --justification 'the same money' --json
reaches "ie has it under the new terms"
expect 0 "ie refuses it" r ie consent refuse "$WISH" --justification 'not this'
answered "$WISH" refused "de is told of that"

stop de
later 21
serve de
confirm de
refused consent-expired $officer "opens nothing once its day is over" "${open[@]}" "$WORK/out.d/6"
stop de
later
stop ie
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
start ie
start de
wait_serving ie
wait_serving de
r de log keys --json | jq -r '.[].vkey' >"$WORK/keys.txt"
for side in ie de; do
    for one in "$id" "$other"; do
        expect 0 "$side exports its receipts" r "$side" receipt export "$one" --out "$WORK/bundle.$side.${one:0:4}"
        expect 0 "which are judged offline" "$(dirname "$BIN")/rogatory-audit" verify "$WORK/bundle.$side.${one:0:4}" --keys "$WORK/keys.txt"
    done
done
stop ie
stop de
