#!/usr/bin/env bash
# limit: 400 s
# runs beside the others
# Roles: what officers, supervisors, operators and auditors of one authority get from its daemon. They are played by accounts
# that every Debian system has.
source "$(dirname "$0")/lib.sh"
people

# as ACCOUNT ARGUMENTS…: the command line of de, used by this account
as() {
    local account=$1
    shift
    runuser -u "$account" -- "$WORK/rogatory" --socket "$WORK/de/api.sock" "$@"
}

# denials: how many refused openings de has signed
denials() {
    as "$auditor" receipt list --json | jq '[.[] | select(.kind == "access-denied")] | length'
}

officer=daemon officer_by_group=mail supervisor=bin operator=sys auditor=games stranger=news
mkdir -m 1777 "$WORK/out.d"
sample=$WORK/sample.txt
echo evidence >"$sample"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\", \"group:mail\"]\nsupervisor = [\"uid:$(id -u $supervisor)\"]\noperator = [\"user:$operator\", \"uid:0\", \"group:no-such-group\"]\nauditor = [\"user:$auditor\"]|" "$WORK/de/rogatory.toml"
expect 0 "the roles are well written" r de check config
expect 0 "and shown" r de config show
says 'roles.officer +user:daemon, group:mail' "by account and group"
start ie
start de
wait_serving ie
wait_serving de
chmod 711 "$WORK" "$WORK/de"
chmod 666 "$WORK/de/api.sock"
expect 0 "a name that nobody has" r de status --json
equal "is shown as a problem" roles.operator "$(jq -r '.problems[] | select(.code == "role-holder-unknown") | .subject' "$WORK/out")"
trust ie de
trust de ie
id=$(send ie de "$sample")
come() {
    [ "$(as "$auditor" package show "$id" --json | jq -r .state)" = held ]
}
within 60 "the package has come" come

open=(package open "$id" --purpose trial --justification hearing --out)
may 0 $officer "opens" "${open[@]}" "$WORK/out.d/1"
may 0 $officer_by_group "opens, an officer by group" "${open[@]}" "$WORK/out.d/2"
may 0 $supervisor "opens" "${open[@]}" "$WORK/out.d/3"
equal "what was opened" evidence "$(cat "$WORK/out.d/1/data/sample.txt" 2>/dev/null || cat "$(find "$WORK/out.d/1" -name sample.txt)")"
before=$(denials)
for account in $operator $auditor $stranger; do
    may 4 $account "does not open" "${open[@]}" "$WORK/out.d/4" --json
    equal "$account is told why" "role-not-permitted" "$(jq -rs 'last | .denial.reason // .reason' "$WORK/err")"
done
[ ! -e "$WORK/out.d/4" ] || fail "a refused opening left a folder"
equal "each of these refusals is signed" $((before + 3)) "$(denials)"
may 4 root "the superuser is an operator here, no more" "${open[@]}" "$WORK/out.d/4"

out=(package send --to ie "${TERMS[@]}" "$sample")
may 0 $officer "sends" "${out[@]}"
may 0 $supervisor "sends" "${out[@]}"
for account in $operator $auditor $stranger; do
    may 4 $account "does not send" "${out[@]}"
    may 4 $account "does not take the ciphertext away" package export "$id" --age "$WORK/out.d/5.age" --purpose trial --justification x
done

may 0 $officer "takes the ciphertext away" package export "$id" --age "$WORK/out.d/6.age" --purpose trial --justification x

for account in $officer $supervisor $auditor; do
    may 0 $account "lists packages" package list
    may 0 $account "reads receipts" receipt list
    may 0 $account "asks what would be decided" policy explain "$id" --use trial --as auditor
    says 'role-not-permitted' "an auditor would be refused"
done
may 0 $auditor "takes receipts along" receipt export "$id" --out "$WORK/out.d/receipts"
may 4 $operator "lists no packages" package list
may 4 $operator "reads no receipts" receipt list
may 0 $operator "looks at transfers" transfer list
may 0 $operator "looks at the log" log status
may 0 $operator "reaches a peer" peer ping ie
may 4 $officer "adds no peer" peer add "$WORK/ie/ie.card"
may 4 $auditor "adds no peer" peer add "$WORK/ie/ie.card"
may 0 $auditor "sees peers" peer list
for words in "status" "peer list" "package list" "receipt list" "transfer list" "log status"; do
    # shellcheck disable=SC2086  # several words
    may 4 $stranger "has no role: $words" $words
done
says 'role' "and is told so"
may 3 nobody "is no person: everybody who has no user id has that one" status
says 'caller-unnumbered|no user id' "and is told so"

# Need to know: a package is for the team of its case.
may 0 $auditor "lists cases" case list --json
equal "the case has no team" "IE-2026-0117 null" "$(jq -r '.[] | "\(.case) \(.team)"' "$WORK/out")"
stop de
sed -i 's|^\[policy\]$|[policy]\nneed_to_know = true|' "$WORK/de/rogatory.toml"
start de
wait_serving de
chmod 666 "$WORK/de/api.sock"
may 4 $officer "does not open while the case has no team" "${open[@]}" "$WORK/out.d/7" --json
equal "and is told why" case-without-team "$(jq -rs 'last | .denial.reason // .reason' "$WORK/err")"
for account in $officer $operator $auditor $stranger; do
    may 4 $account "assigns no team" case assign "$id" --team "user:$account"
done
may 2 $supervisor "assigns no team that is none" case assign "$id" --team "$officer"
may 2 $supervisor "assigns no team that nobody is in" case assign "$id" --team group:no-such-group
may 0 $supervisor "assigns a team" case assign "$id" --team "user:$officer"
may 0 $officer "opens as one of the team" "${open[@]}" "$WORK/out.d/8"
may 4 $officer_by_group "does not open what is for another team" "${open[@]}" "$WORK/out.d/7"
may 4 $supervisor "does not either" "${open[@]}" "$WORK/out.d/7"
may 0 $officer_by_group "asks what would be decided" policy explain "$id" --use trial
says 'not-in-team' "and is told"
may 0 $supervisor "gives the case to another team" case assign "$id" --team group:mail
may 0 $officer_by_group "opens then" "${open[@]}" "$WORK/out.d/9"
may 4 $officer "does not any more" "${open[@]}" "$WORK/out.d/7"
[ ! -e "$WORK/out.d/7" ] || fail "a refused opening left a folder"

sed -i 's|^officer = .*|officer = ["usr:a"]|' "$WORK/de/rogatory.toml"
expect 3 "a role that names nobody" r de check config
says 'did you mean' "with a suggestion"
stop ie
stop de
