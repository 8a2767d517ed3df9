#!/usr/bin/env bash
# limit: 400 s
# The ways in which an opening cannot succeed: none leaves a signed access, uses an approval up, or leaves plaintext behind. One
# that is cut off leaves the access to what had left, and nothing else; where it was asked for, the next try goes on from there.
source "$(dirname "$0")/lib.sh"
people

export TMPDIR=$WORK/tmp
MARK='This line is evidence 5d1c'
OUT=$WORK/out.d/opened
mkdir -m 1777 "$WORK/out.d" "$TMPDIR"

# stated: how many accesses to the package are
stated() {
    r de receipt list --package "$id" --json | jq '[.[] | select(.kind == "access")] | length'
}

# released [LAST]: the bytes that left, of the LAST accesses [default: of all], oldest first
released() {
    r de receipt list --package "$id" --json |
        jq -r --argjson last "${1:-100000}" '[.[] | select(.kind == "access") | .seq] | sort | .[-$last:] | .[]' | while read -r seq; do
        r de receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r .released
    done
}

# clean WHAT: no plaintext, and nothing that is half done
clean() {
    local left
    left=$(find "$WORK/out.d" "$TMPDIR" -mindepth 1 -name '*.partial' ! -path '*/mine*'; grep -rl "$MARK" "$WORK/out.d" "$TMPDIR" || true)
    [ -z "$left" ] || fail "$1 left $left"
}

# nothing CODE WHAT ARGUMENTS…: the opening ends so, and neither states an access nor leaves anything
nothing() {
    local code=$1 what=$2 before
    shift 2
    before=$(stated)
    expect "$code" "$what" r de package open "$id" --purpose prosecution --justification hearing --json "$@"
    [ "$(stated)" = "$before" ] || fail "$what: an access was signed"
    clean "$what"
}

# signalled SIGNAL DELAY_MS ARGUMENTS…: opens, sends the signal after so long, prints the exit code
signalled() {
    python3 - "$1" "$2" "$WORK/cut" "$BIN" --home "$WORK/de" package open "$id" --purpose prosecution --justification hearing "${@:3}" <<'PY'
import signal, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
name, delay, said, *command = sys.argv[1:]
with open(said, "w") as out:
    child = subprocess.Popen(command, stdout=out, stderr=out)
    time.sleep(int(delay) / 1000)
    child.send_signal(getattr(signal, name))
    print(child.wait())
PY
}

new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
start ie
wait_serving ie
serve de
chmod 711 "$WORK" "$WORK/de"
trust ie de
trust de ie
mkdir "$WORK/evidence"
for number in $(seq 20); do
    { echo "$MARK $number"; head -c $((1500000 + number * 1111)) /dev/urandom; } >"$WORK/evidence/exhibit-$number.bin"
done
TERMS=(--case IE-2026-0117 --instrument MLA-2000 --purpose prosecution --retain-until 2031-12-31 --onward prohibited)
id=$(send ie de "$WORK/evidence")
wait_state de "$id" held
wait_state ie "$id" closed
age=$WORK/out.d/one.age
expect 0 "the age file is exported" r de package export "$id" --age "$age" --purpose prosecution --justification archive
equal "what left is stated" "$(stat -c %s "$age")" "$(released 1)"
WHOLE=$(age -d -i "$WORK/de/keys/age.key" "$age" | wc -c)
rm "$age"

# The target.
mkdir "$WORK/taken" "$WORK/out.d/mine.partial"
echo mine >"$WORK/out.d/mine.partial/mine"
echo mine >"$WORK/out.d/mine2.partial"
ln -s nowhere "$WORK/dangling"
nothing 2 "the folder is there already" --out "$WORK/taken"
nothing 2 "the target is a file" --out "$WORK/evidence/exhibit-1.bin"
nothing 2 "the target is a link to nothing" --out "$WORK/dangling"
nothing 2 "there is no folder above it" --out "$WORK/absent/opened"
nothing 1 "a file is above it" --out "$WORK/evidence/exhibit-1.bin/opened"
nothing 2 "somebody's folder is in the way" --out "$WORK/out.d/mine"
nothing 2 "somebody's file is in the way" --out "$WORK/out.d/mine2"
equal "which nobody has touched" "mine mine" "$(cat "$WORK/out.d/mine.partial/mine" "$WORK/out.d/mine2.partial" | xargs)"
rm -r "$WORK/out.d/mine.partial" "$WORK/out.d/mine2.partial"
mkdir "$WORK/small"
mount -t tmpfs -o size=4m tmpfs "$WORK/small"
MOUNTS+=("$WORK/small")
nothing 11 "there is no room" --out "$WORK/small/opened"
equal "and nothing there" "" "$(ls -A "$WORK/small")"
mount -o remount,ro "$WORK/small"
nothing 1 "nothing can be written there" --out "$WORK/small/opened"
code=0
runuser -u daemon -- "$WORK/rogatory" --socket "$WORK/de/api.sock" package open "$id" --purpose prosecution --justification x --out "$WORK/de/opened" >"$WORK/said" 2>&1 || code=$?
[ "$code" -ne 0 ] || fail "an account wrote where it may not"
equal "nor by an account that may not write there: openings stated" 1 "$(stated)"

# The names, the terms, the words.
nothing 8 "there is no such item" --item evidence/absent.bin --out "$OUT"
says 'no-such-item' "it is said"
! grep -q exhibit- "$WORK/out" "$WORK/err" || fail "a name that was not asked for is told"
nothing 8 "one of the items is not there" --item evidence/exhibit-1.bin --item evidence/exhibit-1 --out "$OUT"
denied=$(r de receipt list --package "$id" --json | jq '[.[] | select(.kind == "access-denied")] | length')
expect 4 "another purpose" r de package open "$id" --purpose civil-claim --justification x --out "$OUT"
equal "that is stated as a refusal" $((denied + 1)) "$(r de receipt list --package "$id" --json | jq '[.[] | select(.kind == "access-denied")] | length')"
clean "a refused opening"
expect 2 "no justification" r de package open "$id" --purpose prosecution --justification ' ' --out "$OUT"

# Calls as no command makes them: none states anything.
before=$(stated)
python3 - "$WORK/de/api.sock" "$id" <<'PY' || fail "a call was answered wrongly"
import sys
from api import Api
path, id = sys.argv[1:]
api = Api(path)
wish = {"purpose": "prosecution", "justification": "hearing"}
def refused(method, where, error, **more):
    status, answer = api.ask(method, where, **more)
    assert status >= 400 and answer["error"] == error, f"{method} {where}: {status} {answer}"
for path in ("/v1/peers", "/v1/log", "/v1/status", f"/v1/packages/{id}"):
    refused("GET", f"{path}?limit=1", "bad-query")
made = [api.good("POST", f"/v1/packages/{id}/openings", wish) for _ in range(16)]
refused("POST", f"/v1/packages/{id}/openings", "too-many-openings", body=wish)
one = f"/v1/openings/{made[0]['opening']}"
end = made[0]["plaintext_bytes"]
for value in (f"bytes={end}-{end + 9}", f"bytes={2**63}-{2**63 + 1}", "bytes=5-", "bytes=9-5"):
    refused("GET", f"{one}/plaintext", "bad-range", headers={"Range": value})
items = api.good("DELETE", one) and api.good("POST", f"/v1/packages/{id}/openings", {**wish, "items": ["evidence/exhibit-3.bin"]})
assert items["opened_bytes"] == 2 << 20, items
for it in made[1:] + [items]:
    assert api.good("DELETE", f"/v1/openings/{it['opening']}") == {"released": 0}
PY
equal "calls under which nothing leaves: openings stated" "$before" "$(stated)"

# The keys and the bytes, each as it was afterwards.
# broken CODE WHAT COMMAND…: while the command has changed something of de's
broken() {
    local code=$1 what=$2
    stop de >/dev/null
    cp -a "$WORK/de" "$WORK/de.whole"
    "${@:3}"
    serve de
    nothing "$code" "$what" --out "$OUT"
    [ -z "${ALSO:-}" ] || "$ALSO" "$what"
    stop de >/dev/null
    rm -rf "$WORK/de"
    mv "$WORK/de.whole" "$WORK/de"
    serve de
}
payload=$(find "$WORK/de" -name "$id*" -type f ! -name '*.list' | head -n 1)
lost_slots() { find "$WORK/de" -name slots -exec sh -c 'size=$(stat -c %s "$1"); head -c "$size" /dev/zero >"$1"' _ {} \;; }
altered() { spoil "$payload" 100; }
shortened() { truncate -s 70000 "$payload"; }
removed() { rm "$payload"; }
stop de >/dev/null
mv "$WORK/de/keys/age.key" "$WORK/age.key"
age-keygen -o "$WORK/de/keys/age.key" 2>/dev/null
expect 3 "no start with an age identity that is not on the card" r de serve
says 'identity.age_identity: opens nothing that peers seal' "it says why"
mv "$WORK/age.key" "$WORK/de/keys/age.key"
serve de
broken 7 "the payload's first chunk was altered" altered
broken 7 "the payload was cut" shortened
broken 8 "the payload is gone" removed
broken 8 "the key of its header is lost" lost_slots
says 'restore the whole state folder' "it says what to do"
stop de >/dev/null
clean "after the daemon has ended"
nothing_said=$(find "$WORK/out.d" -mindepth 1)
expect 10 "the daemon is away" r de package open "$id" --purpose prosecution --justification x --out "$OUT"
equal "which leaves nothing" "$nothing_said" "$(find "$WORK/out.d" -mindepth 1)"
serve de

# An approval is used up by the first byte.
exception=(package open "$id" --purpose public-security --exception threat --justification 'a bomb')
may 4 daemon "declares a threat" "${exception[@]}" --out "$WORK/out.d/1" --json
request=$(jq -rs 'last | .message' "$WORK/err" | grep -o '[0-9a-f]\{16\}$')
expect 0 "somebody else approves it" r de approvals approve "$request"
unused() { equal "$1: the approval is" approved "$(r de approvals show "$request" --json | jq -r .state)"; }
before=$(stated)
may 2 daemon "there is no folder above it" "${exception[@]}" --out "$WORK/absent/1"
unused "no folder"
mount -o remount,rw "$WORK/small"
chmod 1777 "$WORK/small"
may 11 daemon "there is no room" "${exception[@]}" --out "$WORK/small/1"
unused "no room"
approved() {
    may 7 daemon "opens nothing of an altered payload" "${exception[@]}" --out "$WORK/out.d/1"
    unused "an altered payload"
}
ALSO=approved broken 7 "the payload's first chunk was altered" altered
equal "no opening was stated" "$before" "$(stated)"
may 0 daemon "opens at last" "${exception[@]}" --out "$WORK/out.d/1"
equal "the approval is" "done" "$(r de approvals show "$request" --json | jq -r .state)"
equal "the opening is stated" "$((before + 1)) $WHOLE" "$(stated) $(released 1)"
within 60 "ie is told of it" sh -c "[ \"\$('$BIN' --home '$WORK/ie' receipt list --package $id --json | jq '[.[] | select(.kind == \"access\")] | length')\" = 1 ]"
may 4 daemon "does not open again with it" "${exception[@]}" --out "$WORK/out.d/2"
rm -r "$WORK/out.d/1"

# Cut off at any moment, by any signal.
began=$(now_ms)
expect 0 "opens the whole" r de package open "$id" --purpose prosecution --justification hearing --out "$OUT" --json
TAKES=$(($(now_ms) - began))
diff -r "$WORK/evidence" "$OUT/data/evidence" || fail "what was opened is not what was sent"
equal "its receipt is the newest" "$(jq -rs 'last | .receipt' "$WORK/out")" "$(r de receipt list --package "$id" --json | jq -r 'max_by(.seq) | .digest')"
rm -r "$OUT"
RANDOM=${SEED:=$$}
echo "  seed $SEED, an opening takes $TAKES ms"
signals=(INT TERM HUP KILL)
declare -A numbers=([INT]=2 [TERM]=15 [HUP]=1 [KILL]=9)
finished=0 ended=0 killed=0
first=$(stated) least=$(stated) # one for each opening that said so; a killed one is stated too, if bytes had left, some time after its end
counted() {
    local now
    now=$(stated)
    [ "$now" -ge "$least" ] && [ "$now" -le $((first + turn)) ] || fail "turn $turn: $now openings are stated, at least $least and at most $((first + turn)) are there: $(cat "$WORK/cut")"
}
for turn in $(seq 50); do
    name=${signals[$((turn % 4))]}
    delay=$((RANDOM % TAKES))
    code=$(signalled "SIG$name" "$delay" --out "$OUT")
    if [ "$code" = 0 ]; then
        finished=$((finished + 1)) least=$((least + 1))
        TAKES=$((delay > 40 ? delay : 40)) # it takes no longer than that
        diff -r "$WORK/evidence" "$OUT/data/evidence" || fail "turn $turn: what was opened is not what was sent"
        rm -r "$OUT"
        counted
        [[ " $(released $((turn + 1)) | xargs) " == *" $WHOLE "* ]] || fail "turn $turn: it finished, and not all of it is stated"
    elif [ "$name" = KILL ]; then
        killed=$((killed + 1))
        [ ! -e "$OUT" ] || rm -r "$OUT" # it was whole
    else
        # Before it listens, a signal ends it as any process.
        [ "$code" = $((128 + ${numbers[$name]})) ] || [ "$code" = -"${numbers[$name]}" ] || fail "turn $turn: SIG$name ended it with $code: $(cat "$WORK/cut")"
        ended=$((ended + 1))
        ! grep -q 'had left is stated' "$WORK/cut" || least=$((least + 1))
        counted
        # One that did not come so far has removed nothing of what the one before left.
        [ "$code" -lt 0 ] || clean "turn $turn, SIG$name"
    fi
done
[ -z "$(released | awk -v whole="$WHOLE" '$1 < 1 || $1 > whole + 65536')" ] || fail "more was stated than there is, or nothing"
ok "of 50 openings, $finished finished, $ended were ended and $killed killed"
expect 0 "the next try removes what a killed one left" r de package open "$id" --purpose prosecution --justification hearing --out "$OUT"
rm -r "$OUT"
clean "the next try"

# With --resume, what is whole stays, and is not read again. The daemon is killed under it.
going=(package open "$id" --purpose prosecution --justification hearing --resume --out "$OUT")
for turn in 1 2 3 4 5 6; do
    before=$(stated)
    (sleep "$(printf '%d.%03d' $((TAKES * turn / 7000)) $((TAKES * turn / 7 % 1000)))" && kill -KILL "${PID[de]}") &
    r de "${going[@]}" >"$WORK/said" 2>&1 && fail "turn $turn: it finished though the daemon was killed" || true
    wait $! || true
    wait "${PID[de]}" || true
    unset "PID[de]"
    kept=0
    [ ! -d "$OUT.partial" ] || kept=$(find "$OUT.partial" -name '*.bin' -printf '%s\n' | awk '{ all += $1 } END { print all + 0 }')
    serve de
    within 60 "turn $turn: what may have left is stated" sh -c "'$BIN' --home '$WORK/de' status >/dev/null; [ $kept = 0 ] || [ \"\$('$BIN' --home '$WORK/de' receipt list --package $id --json | jq '[.[] | select(.kind == \"access\")] | length')\" -gt $before ]"
    # Those of earlier commands too, which the daemon had not given up yet: 51, and one each turn.
    [ "$(stated)" -le $((first + 51 + turn)) ] || fail "turn $turn: one opening is stated more than once"
    [ "$kept" = 0 ] || break
done
[ "$kept" -gt 0 ] || fail "no turn left anything to go on from"
[ "$(released 1)" -ge "$kept" ] || fail "$kept bytes were written, and fewer stated"
# What is not whole, and what is not of the package, goes.
echo foreign >"$OUT.partial/data/foreign"
whole=$(find "$OUT.partial" -name '*.bin' | wc -l)
expect 0 "it goes on" r de "${going[@]}" --json
diff -r "$WORK/evidence" "$OUT/data/evidence" || fail "what was opened is not what was sent"
valid_bag "$OUT"
[ "$whole" -lt 3 ] || [ "$(released 1)" -lt "$WHOLE" ] || fail "$whole files were there, and all was read again"
equal "nothing else is in it" "" "$(find "$OUT" -name '.rogatory*' -o -name foreign)"
rm -r "$OUT"
began=$(stated)
code=$(signalled SIGTERM $((TAKES / 2)) --resume --out "$OUT")
[ "$code" = 0 ] || expect 0 "what was ended goes on too" r de "${going[@]}"
rm -r "$OUT"
[ "$(stated)" -gt "$began" ] || fail "nothing was stated"

# The end: every opening is stated once, and what is stored is sound.
expect 0 "the receipts are exported" r de receipt export "$id" --out "$WORK/bundle"
r de log keys >"$WORK/keys.txt"
expect 0 "and are judged good offline" "$(dirname "$BIN")/rogatory-audit" verify "$WORK/bundle" --keys "$WORK/keys.txt"
expect 0 "de destroys the package" r de package purge "$id" --justification over --yes
stop de
stop ie
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
