#!/usr/bin/env bash
# limit: 200 s
# runs beside the others
# Declared exceptions take two persons and are told to the sender; so is content that is not what was signed. People are played
# by accounts that every Debian system has.
source "$(dirname "$0")/lib.sh"
people

# refused REASON ACCOUNT WHAT ARGUMENTS…: by policy
refused() {
    local reason=$1
    shift
    may 4 "$@" --json
    equal "because" "$reason" "$(jq -rs 'last | .denial.reason' "$WORK/err")"
}

# told COUNT WHAT: ie has so many statements of de about openings of the package
told() {
    within 30 "$2" sh -c "[ \"\$('$BIN' --home '$WORK/ie' receipt list --package $id --json | jq '[.[] | select(.kind == \"access\" or .kind == \"content-mismatch\")] | length')\" = $1 ]"
}

racing=()
one=daemon two=mail operator=sys auditor=games
mkdir -m 1777 "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
sed -i "s|^\[roles\]\$|[roles]\nofficer = [\"user:$one\", \"user:$two\"]\noperator = [\"user:$operator\", \"uid:0\"]\nauditor = [\"user:$auditor\", \"uid:0\"]|" "$WORK/de/rogatory.toml"
start ie
wait_serving ie
serve de
chmod 711 "$WORK" "$WORK/de"
trust ie de
trust de ie
TERMS=(--case IE-2026-0117 --instrument MLA-2000 --purpose prosecution --retain-until 2031-12-31 --onward prohibited)
id=$(send ie de "$WORK/sample.txt")
wait_state de "$id" held
wait_state ie "$id" closed

open=(package open "$id" --purpose public-security --justification 'a bomb' --out)
refused purpose-not-permitted $one "opens for no other purpose" "${open[@]}" "$WORK/out.d/1"
refused exception-other-use $one "declares no exception for another use" package open "$id" --purpose civil-claim --exception threat --justification x --out "$WORK/out.d/1"
refused exception-not-provided $one "declares none that the instrument does not know" package open "$id" --purpose exculpatory-disclosure --exception exculpatory --justification x --out "$WORK/out.d/1"
refused role-not-permitted $operator "declares none as an operator" "${open[@]}" "$WORK/out.d/1" --exception threat
told 0 "ie is told of none of this"
refused second-person-missing $one "declares a threat" "${open[@]}" "$WORK/out.d/1" --exception threat
request=$(jq -rs 'last | .message' "$WORK/err" | grep -o '[0-9a-f]\{16\}$')
may 4 $one "does not approve it alone" approvals approve "$request"
may 4 $auditor "does not approve it as an auditor" approvals approve "$request"
refused second-person-missing $one "does not open before that" "${open[@]}" "$WORK/out.d/1" --exception threat
may 0 $two "approves it" approvals approve "$request"
refused second-person-missing $two "does not open with the approval of another's wish" "${open[@]}" "$WORK/out.d/1" --exception threat
refused second-person-missing $one "does not open for another reason" package open "$id" --purpose public-security --justification 'something else' --exception threat --out "$WORK/out.d/1"
[ ! -e "$WORK/out.d/1" ] || fail "a refused opening left a folder"
may 0 $one "opens under the exception" "${open[@]}" "$WORK/out.d/1" --exception threat
equal "what was opened" evidence "$(cat "$WORK/out.d/1/data/sample.txt" 2>/dev/null || cat "$(find "$WORK/out.d/1" -name sample.txt)")"
refused second-person-missing $one "does not use the approval twice" "${open[@]}" "$WORK/out.d/2" --exception threat
told 1 "ie is told of it"
receipt=$(r ie receipt list --package "$id" --json | jq -r '.[] | select(.kind == "access") | .seq')
r ie receipt show "$receipt" --json | jq -r .note | sed -n 2p >"$WORK/access.json"
equal "and why" "threat: MLA Convention 2000 art. 23(1)(c), for public-security" "$(jq -r '"\(.reason.code): \(.reason.clause), for \(.purpose)"' "$WORK/access.json")"
grep -q -e bomb -e daemon "$WORK/access.json" && fail "the statement names a person or a reason in words"

# The sender is away, the receiver is killed: it is told all the same.
stop ie
request=$(r de approvals list --json | jq -r '[.[] | select(.state == "waiting" and .request.justification == "a bomb" and .asked_by == "daemon")] | last | .id')
may 0 $two "approves once more" approvals approve "$request"
for out in 3 5; do
    (code=0
    runuser -u $one -- "$WORK/rogatory" --socket "$WORK/de/api.sock" "${open[@]}" "$WORK/out.d/$out" --exception threat >/dev/null 2>&1 || code=$?
    echo $code >"$WORK/code.$out") &
    racing+=($!)
done
wait "${racing[@]}"
equal "of two openings at once, while ie is away, one has the approval" "0 4" "$(sort "$WORK/code.3" "$WORK/code.5" | xargs)"
kill_hard de
serve de
start ie
wait_serving ie
told 2 "ie is told once it is back"

# Content that is not what was signed: ie has something sealed that is no package.
python3 - "$WORK" "$WORK/ie/api.sock" <<'PY' >"$WORK/false.id"
import subprocess, sys
from api import Api
work, path = sys.argv[1:]
call = Api(path).good
terms = {"instrument": "MLA-2000", "onward": "prohibited", "purposes": ["prosecution"], "retain_until": "2031-12-31", "use_report": False}
grant = call("POST", "/v1/seals", {"to": "de", "terms": terms, "case": "IE-2026-0117"})
age = subprocess.run(["age", "-r", grant["recipients"][0]], input=b"no tar at all" * 100, capture_output=True, check=True).stdout
zeros = "0" * 64
query = f"manifest={zeros}&item_root={zeros}&items=1"
print(call("PUT", f"/v1/seals/{grant['grant']}/whole?{query}", age)["id"])
PY
id=$(cat "$WORK/false.id")
wait_state de "$id" held
may 7 $one "opens what is no package" package open "$id" --purpose prosecution --justification hearing --out "$WORK/out.d/4" --json
equal "and is told so" content-mismatch "$(jq -rs 'last | .error' "$WORK/err")"
[ ! -e "$WORK/out.d/4" ] || fail "what does not match was kept"
told 1 "ie is told of it"
equal "in a signed statement" content-mismatch "$(r ie receipt list --package "$id" --json | jq -r '.[] | select(.kind == "content-mismatch") | .kind')"

expect 0 "ie exports its receipts" r ie receipt export "$id" --out "$WORK/bundle"
r de log keys --json | jq -r '.[].vkey' >"$WORK/keys.txt"
expect 0 "which are judged offline" "$(dirname "$BIN")/rogatory-audit" verify "$WORK/bundle" --keys "$WORK/keys.txt"
stop de
stop ie
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
