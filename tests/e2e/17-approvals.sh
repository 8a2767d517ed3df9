#!/usr/bin/env bash
# limit: 200 s
# runs beside the others
# Dual control: what takes two persons is asked for by one and approved or rejected by another. People are played by accounts
# that every Debian system has, a later week by libfaketime.
source "$(dirname "$0")/lib.sh"
people

# asked ACCOUNT WHAT ARGUMENTS…: refused until a second person approves; ID is the request
asked() {
    may 4 "$@" --json
    equal "and waits for a second person" second-person-missing "$(jq -rs 'last | .denial.reason' "$WORK/err")"
    ID=$(jq -rs 'last | .message' "$WORK/err" | grep -o '[0-9a-f]\{16\}$')
}

# shown STATE: what the auditor sees of the request
shown() {
    may 0 $auditor "looks at the request" approvals show "$ID" --json
    equal "it is" "$1" "$(jq -r .state "$WORK/out")"
}

# statements: approvals in the log of de
statements() {
    runuser -u $auditor -- "$WORK/rogatory" --socket "$WORK/de/api.sock" receipt list --json | jq '[.[] | select(.kind == "approval")] | length'
}

officer=daemon one=bin two=lp operator=sys auditor=games
echo evidence >"$WORK/sample.txt"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\"]\nsupervisor = [\"user:$one\", \"user:$two\"]\noperator = [\"user:$operator\", \"uid:0\"]\nauditor = [\"user:$auditor\", \"uid:0\"]|" "$WORK/de/rogatory.toml"
sed -i 's|^\[policy\]$|[policy]\ndual_control = ["package.purg", "peer.accept"]|' "$WORK/de/rogatory.toml"
expect 3 "a verb that is none" r de check config
says 'did you mean "package.purge"' "with a suggestion"
sed -i 's|"package.purg"|"package.purge", "package.hold"|' "$WORK/de/rogatory.toml"
expect 0 "what takes two persons is well written" r de check config
start ie
wait_serving ie
serve de
chmod 711 "$WORK" "$WORK/de" "$WORK/ie"

# A peer is accepted by two.
trust ie de
cp "$WORK/ie/ie.card" "$WORK/ie/ie.crl" "$WORK"
chmod 644 "$WORK/ie.card" "$WORK/ie.crl"
may 0 $operator "adds the card of ie" peer add "$WORK/ie.card"
may 6 $operator "accepts no wrong words" peer accept ie --fingerprint zulu-zulu-zulu-zulu-zulu-zulu
asked $operator "accepts ie" peer accept ie --fingerprint "$(fingerprint ie)"
first=$ID
asked $operator "asks again" peer accept ie --fingerprint "$(fingerprint ie)"
equal "which is the same request" "$first" "$ID"
shown waiting
may 4 $operator "does not approve what it asked for" approvals approve "$ID"
says 'somebody else decides' "and is told"
for account in $officer $one $auditor; do
    may 4 $account "does not approve what operators do" approvals approve "$ID"
done
equal "nothing is stated" 0 "$(statements)"
expect 0 "another operator approves" r de approvals approve "$ID" --json
equal "it is done" "done accepted" "$(jq -r '"\(.state) \(.result.state)"' "$WORK/out")"
equal "what was stated" "$(jq -rj .stated "$WORK/out" | sha256sum | cut -d ' ' -f 1)" \
    "$(r de receipt list --json | jq -r '[.[] | select(.kind == "approval")][0].seq' | xargs -I{} "$BIN" --home "$WORK/de" receipt show {} --json | jq -r .note | sed -n 2p | jq -r .subject)"
may 9 $operator "approves nothing twice" approvals approve "$ID"
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held

# A package is destroyed by two.
may 0 $one "looks what would be destroyed" package purge "$id" --dry-run
asked $one "destroys it" package purge "$id" --justification mistake --yes
equal "it is still there" held "$(state de "$id")"
may 4 $one "does not approve it alone" approvals approve "$ID"
may 0 $two "rejects it" approvals reject "$ID"
shown rejected
may 9 $two "approves nothing that was rejected" approvals approve "$ID"
asked $one "destroys it after all" package purge "$id" --justification mistake --yes
kill_hard de
serve de
shown waiting
may 0 $two "approves it" approvals approve "$ID"
wait_state de "$id" destroyed
wait_state ie "$id" destroyed
equal "each decision is a statement" 3 "$(statements)"
may 9 $one "asks for nothing that is done" package purge "$id" --justification mistake --yes

# A hold by two; nobody waits for ever.
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held
asked $one "holds it" package hold "$id" --until 2040-01-01 --authority court --reason appeal
may 0 $two "approves the hold" approvals approve "$ID"
asked $one "destroys what is not held" package hold "$id" --until 2041-01-01 --authority court --reason appeal
may 4 $two "destroys nothing that is held" package purge "$id" --justification mistake --yes --json
equal "because of the hold" on-hold "$(jq -rs 'last | .denial.reason' "$WORK/err")"
stop de
stop ie
later 8
serve de
confirm de
shown expired
may 9 $two "approves nothing a week later" approvals approve "$ID"
stop de
later
expect 0 "fsck of de finds nothing" "$BIN" --home "$WORK/de" fsck
