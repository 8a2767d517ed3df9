#!/usr/bin/env bash
# limit: 120 s
# runs beside the others
# National rules: a good set is adopted and bites, a bad one is refused by `check config` and at a reload, and the set in force
# stays. People are played by accounts that every Debian system has.
source "$(dirname "$0")/lib.sh"
people

# wrong CODE WHAT: the set in the folder is refused, by every command alike, and the daemon goes on with the one it has
wrong() {
    expect 3 "$2: check config" r de check config
    says "\($1\)" "it is named"
    expect 3 "$2: policy lint" r de policy lint "$rules" --json
    equal "the code" "$1" "$(jq -rs 'map(select(.type == "fault")) | map(.code) | unique | join(",")' "$WORK/out")"
    local before
    before=$(grep -c 'nothing was reloaded' "$WORK/de.log" || true)
    kill -HUP "${PID[de]}"
    within 10 "a reload is refused" sh -c "[ \$(grep -c 'nothing was reloaded' '$WORK/de.log') -gt $before ]"
    equal "the set in force stays" "$IN_FORCE" "$(r de policy show --json | jq -r .pol)"
}

officer=daemon supervisor=bin
rules=$WORK/de/rules
mkdir -m 1777 "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$officer\"]\nsupervisor = [\"user:$supervisor\"]\noperator = [\"uid:0\"]\nauditor = [\"uid:0\"]|" "$WORK/de/rogatory.toml"
start ie
start de
wait_serving ie
wait_serving de
before=$(r de policy show --json | jq -r .pol)
stop de
mkdir "$rules"
sed -i 's|^\[policy\]$|[policy]\ncedar = "rules"|' "$WORK/de/rogatory.toml"
expect 3 "a folder without rules" r de check config
says '\(no-rules\)' "it is named"
cp "$ROOT"/config/policies/* "$rules"
expect 0 "the examples are well written" r de check config
expect 0 "by lint too" r de policy lint "$rules" --json
equal "rules" 7 "$(jq -r .rules "$WORK/out")"
expect 0 "they decide as their table says" r de policy test "$ROOT/tests/policy/national.toml"
serve de
chmod 711 "$WORK" "$WORK/de"
trust ie de
trust de ie
IN_FORCE=$(r de policy show --json | jq -r .pol)
[ "$IN_FORCE" != "$before" ] || fail "the set is not in the digest"
expect 0 "the set is shown" r de policy show
says '10-special-categories.cedar' "by its files"
newest=$(r de receipt list --json | jq -r '[.[] | select(.kind == "policy-adopted") | .seq] | max')
equal "it is stated that it was adopted" "$IN_FORCE" "$(r de receipt show "$newest" --json | jq -r .note | sed -n 2p | jq -r .subject)"

TERMS=(--case IE-2026-0117 --instrument EIO --purpose prosecution --retain-until 2031-12-31 --onward prohibited --restriction special-categories)
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held
open=(package open "$id" --purpose prosecution --justification hearing --out)
may 4 $officer "does not open special categories" "${open[@]}" "$WORK/out.d/1" --json
equal "rule, reason and clause" "special-categories-by-supervisors national-rule.special-categories Directive (EU) 2016/680 art. 10" \
    "$(jq -rs 'last | .denial | "\(.rule) \(.reason) \(.clause)"' "$WORK/err")"
says 'ask one' "and what to do"
[ ! -e "$WORK/out.d/1" ] || fail "a refused opening left a folder"
denied=$(r de receipt list --package "$id" --json | jq -r '[.[] | select(.kind == "access-denied") | .seq] | max')
equal "the refusal is signed, under this set" "national-rule.special-categories $IN_FORCE" \
    "$(r de receipt show "$denied" --json | jq -r .note | sed -n 2p | jq -r '"\(.reason.code) \(.pol)"')"
may 0 $supervisor "opens them" "${open[@]}" "$WORK/out.d/2"
may 0 $officer "asks what would be decided" policy explain "$id" --use prosecution --json
equal "and by which rule" special-categories-by-supervisors "$(jq -r .rule "$WORK/out")"
TERMS=("${TERMS[@]:0:10}")
TERMS[5]=prosecution,civil-claim
refused=$(send ie de "$WORK/sample.txt")
within 30 "what may not be taken in is rejected" holds ie '.state == "rejected"' package show "$refused"
expect 4 "who waits for it is told" r ie package send --to de "${TERMS[@]}" --wait --json "$WORK/sample.txt"
told=$(r ie receipt list --json | jq -r '[.[] | select(.kind == "rejected") | .seq] | max')
equal "with the reason of the signed receipt" "$(r ie receipt show "$told" --json | jq -r .note | sed -n 2p | jq -r .reason.code)" "$(jq -rs 'last | .error' "$WORK/err")"

# A changed set that is well written waits for the next start.
echo '// changed' >>"$rules/20-handling.cedar"
kill -HUP "${PID[de]}"
within 10 "the daemon says so" grep -q 'the policy has changed; it comes into force at the next start' "$WORK/de.log"
equal "the set in force stays" "$IN_FORCE" "$(r de policy show --json | jq -r .pol)"
cp "$ROOT/config/policies/20-handling.cedar" "$rules"

one=$rules/10-special-categories.cedar
cp "$one" "$WORK/good.cedar"
while read -r code what name; do
    cp "$ROOT/tests/policy/wrong/$name.cedar" "$one"
    wrong "$code" "${what//_/ }"
done <<'CASES'
permit a_rule_that_permits permit
schema a_type_error type-error
schema an_unknown_attribute unknown-attribute
too-deep deep_nesting too-deep
CASES
yes '// a line of nothing much, again and again' | head -c 10000000 >"$one" || true
wrong too-large "10 MB"
stop de
expect 3 "a daemon does not start with it" r de serve
cp "$WORK/good.cedar" "$one"
serve de
equal "with the good set it does, as before" "$IN_FORCE" "$(r de policy show --json | jq -r .pol)"
