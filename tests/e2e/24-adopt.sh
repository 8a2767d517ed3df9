#!/usr/bin/env bash
# limit: 200 s
# runs beside the others
# A change of policy takes two persons where the policy in force says so: until then the daemon serves under the one that was
# adopted last, rebuilt from its ledger. People are played by accounts that every Debian system has.
source "$(dirname "$0")/lib.sh"
people

# in_force POLICY WHAT
in_force() {
    equal "$2" "$1" "$(r de policy show --json | jq -r .pol)"
}

# waits STATE: another policy is configured, and status and `policy show` say so; `none`: it is not
waits() {
    equal "the configured policy" "$1" "$(r de policy show --json | jq -r '.waiting.state // "none"')"
    holds de "([.problems[] | select(.code == \"policy-waits\")] | length) == $([ "$1" = none ] && echo 0 || echo 1)" status ||
        fail "status does not say so"
}

# asked ACCOUNT WHAT: asks for the configured policy, which takes a second person; ID is the request
asked() {
    may 4 "$1" "$2" policy adopt --json
    equal "and waits for a second person" second-person-missing "$(jq -rs 'last | .denial.reason' "$WORK/err")"
    ID=$(jq -rs 'last | .message' "$WORK/err" | grep -o '[0-9a-f]\{16\}$')
}

# approved: ID, by the other supervisor
approved() {
    may 0 $two "approves it" approvals approve "$ID" --json
    equal "it is" approved "$(jq -r .state "$WORK/out")"
}

# restarted: de, as after a change of its configuration
restarted() {
    stop de
    serve de
}

# statements KIND: how many of this kind the log of de has
statements() {
    r de receipt list --json | jq "[.[] | select(.kind == \"$1\")] | length"
}

# stated KIND: the subject of the newest
stated() {
    local seq
    seq=$(r de receipt list --json | jq -r "[.[] | select(.kind == \"$1\") | .seq] | max")
    r de receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r .subject
}

# pol PACKAGE KIND: the policy that the newest statement of this kind names
pol() {
    local seq
    seq=$(r de receipt list --package "$1" --json | jq -r "[.[] | select(.kind == \"$2\") | .seq] | max")
    r de receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r .pol
}

# configured LINE…: the [policy] section of de
configured() {
    sed -i '/^\[policy\]$/,/^$/{/^[a-z]/d}' "$WORK/de/rogatory.toml"
    local line
    for line in "$@"; do
        sed -i "s|^\[policy\]\$|[policy]\n$line|" "$WORK/de/rogatory.toml"
    done
}

officer=daemon one=bin two=lp operator=sys auditor=games
rules=$WORK/de/rules
dual='dual_control = ["policy.adopt"]'
mkdir -m 1777 "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\"]\nsupervisor = [\"user:$one\", \"user:$two\"]\noperator = [\"user:$operator\", \"uid:0\"]\nauditor = [\"user:$auditor\", \"uid:0\"]|" "$WORK/de/rogatory.toml"
start ie
wait_serving ie
serve de
chmod 711 "$WORK" "$WORK/de"
trust ie de
trust de ie
FIRST=$(r de policy show --json | jq -r .pol)

# As long as the policy in force does not list it, one person is enough; the list itself is part of the policy.
may 9 $operator "asks for what is in force" policy adopt
configured "$dual"
may 0 $operator "asks for another policy" policy adopt --json
equal "which waits for a start alone" next-start "$(jq -r .state "$WORK/out")"
waits next-start
restarted
LISTED=$(r de policy show --json | jq -r .pol)
[ "$LISTED" != "$FIRST" ] || fail "the list is not in the digest"
equal "it is stated" "$LISTED" "$(stated policy-adopted)"
expect 0 "it is shown" r de policy show
says 'two persons for +policy\.adopt' "with its list"

# Another policy that nobody has approved: the old one stays in force, and decides.
mkdir "$rules"
cp "$ROOT"/config/policies/*.cedar "$rules"
configured "$dual" 'cedar = "rules"'
expect 0 "the other policy is well written" r de check config
kill -HUP "${PID[de]}"
within 10 "a reload says that it takes a second person" grep -q 'the policy has changed; it takes a second person.*rogatory policy adopt' "$WORK/de.log"
restarted
in_force "$LISTED" "the old policy is in force"
grep -q 'another policy is configured than was adopted last' "$WORK/de.log" || fail "the log does not say so"
waits second-person
expect 0 "status says so" r de status
says 'policy +another policy is configured.*rogatory --home [^ ]*de policy adopt' "and what to do"
TERMS[5]=prosecution,civil-claim
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held
equal "what the other policy would refuse is taken in under the old one" "$LISTED" "$(pol "$id" handover)"
may 0 $officer "opens it" package open "$id" --purpose civil-claim --justification hearing --out "$WORK/out.d/1"
equal "under the old one too" "$LISTED" "$(pol "$id" access)"

# Asking for it.
for account in $officer $auditor; do
    may 4 "$account" "may not ask for a policy" policy adopt
done
cp "$rules/20-handling.cedar" "$WORK/good.cedar"
echo 'permit(principal, action, resource);' >>"$rules/20-handling.cedar"
may 3 $operator "asks for rules that are wrong" policy adopt --json
equal "which is said" config-invalid "$(jq -rs 'last | .error' "$WORK/err")"
cp "$WORK/good.cedar" "$rules/20-handling.cedar"
asked $operator "asks for the other policy"
first=$ID
asked $operator "asks again"
equal "which is the same request" "$first" "$ID"
waits asked
may 4 $operator "does not decide, for want of a role" approvals approve "$ID"
may 0 $one "rejects it" approvals reject "$ID"
asked $one "asks for it instead"
may 0 $auditor "looks at the request" approvals show "$ID" --json
OTHER=$(jq -r .subject "$WORK/out")
equal "which has the text of the policy" "$OTHER" "$(jq -rj .request.description "$WORK/out" | sha256sum | cut -d ' ' -f 1)"
may 0 $two "looks at the request" approvals show "$ID"
says 'rules in 50-civil-claims.cedar +[0-9a-f]{64}' "which lists what would be in force"
may 4 $one "does not approve what it asked for" approvals approve "$ID"
says 'somebody else decides' "and is told"
restarted
in_force "$LISTED" "nothing has changed yet"
before=$(statements policy-adopted)
approved
equal "which is stated" "$(r de approvals show "$ID" --json | jq -rj .stated | sha256sum | cut -d ' ' -f 1)" "$(stated approval)"
in_force "$LISTED" "a running daemon does not change its policy"
waits approved
may 0 $one "asks for what is approved" policy adopt --json
equal "which waits for a start alone" approved "$(jq -r .state "$WORK/out")"

# What was approved is that policy and no other.
echo '// changed' >>"$rules/20-handling.cedar"
restarted
in_force "$LISTED" "what was altered after the approval is not in force"
waits second-person
equal "nothing is stated" "$before" "$(statements policy-adopted)"
cp "$WORK/good.cedar" "$rules/20-handling.cedar"
kill_hard de
serve de
in_force "$OTHER" "what was approved is"
equal "which is stated" "$OTHER" "$(stated policy-adopted)"
equal "once" "$((before + 1))" "$(statements policy-adopted)"
equal "the approval is used up" "done" "$(r de approvals show "$ID" --json | jq -r .state)"
waits none
may 9 $one "asks for nothing more" policy adopt
refused=$(send ie de "$WORK/sample.txt")
within 30 "what the policy forbids is rejected" holds ie '.state == "rejected"' package show "$refused"
equal "under the policy in force" "$OTHER" "$(r ie receipt list --package "$refused" --json | jq -r '[.[] | select(.kind == "rejected") | .seq] | max' |
    xargs -I{} "$BIN" --home "$WORK/ie" receipt show {} --json | jq -r .note | sed -n 2p | jq -r .pol)"
may 4 $officer "opens nothing for a civil claim any more" package open "$id" --purpose civil-claim --justification hearing --out "$WORK/out.d/2"

# Taking it off the list is a change like any other, and so is leaving out the rules: their texts are in the ledger.
configured
mv "$rules" "$WORK/gone"
restarted
in_force "$OTHER" "without its files the policy stays in force"
waits second-person
may 4 $officer "still opens nothing for a civil claim" package open "$id" --purpose civil-claim --justification hearing --out "$WORK/out.d/2"

# Where it cannot be run again, nothing is.
stop de
python3 - "$WORK/de" <<'PY'
import pathlib, sqlite3, sys
(ledger,) = pathlib.Path(sys.argv[1]).rglob("ledger.db")
with sqlite3.connect(ledger) as db:
    assert db.execute("DELETE FROM meta WHERE key LIKE 'policy-rules/%'").rowcount == 5
PY
expect 3 "a daemon that cannot serve under either does not start" r de serve --json
equal "which is named" policy-not-approved "$(jq -rs 'last | .error' "$WORK/err")"
says 'put \[policy\] and the files of national rules back' "with what to do"
configured "$dual" 'cedar = "rules"'
mv "$WORK/gone" "$rules"
serve de
in_force "$OTHER" "with its files it serves again"
configured
rm -r "$rules"
restarted
in_force "$OTHER" "and has kept them anew"

asked $one "asks to go back to the first policy"
approved
restarted
in_force "$FIRST" "which is in force"
equal "and stated" "$FIRST" "$(stated policy-adopted)"
configured 'handling_max = "H1"'
kill -HUP "${PID[de]}"
within 10 "from here on one person is enough" grep -q 'the policy has changed; it comes into force at the next start' "$WORK/de.log"
restarted
waits none
holds de '.description | contains("\"handling_max\":\"H1\"")' policy show || fail "the changed policy is not in force"
stop de
expect 0 "fsck of de finds nothing" "$BIN" --home "$WORK/de" fsck
