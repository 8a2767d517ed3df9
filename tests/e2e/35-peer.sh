#!/usr/bin/env bash
# limit: 180 s
# A daemon and an authority that shares no code with it: tests/peer, in Python, written from docs/protocol alone. They exchange packages in
# both directions; then the other authority lies.
source "$(dirname "$0")/lib.sh"

PYTHON=$ROOT/tests/.venv/bin/python3
AUDIT=$(dirname "$BIN")/rogatory-audit
[ -x "$AUDIT" ] || fail "no binary at $AUDIT"
"$PYTHON" -c 'import aioquic' 2>/dev/null || skip "aioquic is not here: tests/run --install-only installs it"
why=(--justification "hearing of 3 December")

# py ARGUMENTS…: the other authority
py() {
    PYTHONPATH=$ROOT/tests "$PYTHON" -m peer "$WORK/py" "$@"
}

# serve_py: it serves, in the background
serve_py() {
    PYTHONPATH=$ROOT/tests "$PYTHON" -m peer "$WORK/py" serve >>"$WORK/py.log" 2>&1 &
    PID[py]=$!
    patient 10 test -S "$WORK/py/control" || fail "py does not serve: $(cat "$WORK/py.log")"
}

# stop_py: and ends
stop_py() {
    py ask stop >/dev/null
    wait "${PID[py]}" || fail "py ended with $?"
    unset "PID[py]"
}

# asks WHAT FILTER WORDS…: py does something, and jq says `true` of its answer
asks() {
    local what=$1 filter=$2
    shift 2
    py ask "$@" >"$WORK/answer" || true
    [ "$(jq -r "$filter" "$WORK/answer")" = true ] || fail "$what: $filter is not so of $(cat "$WORK/answer"), asked: $*"
    ok "$what"
}

# sealed SIZE [TERMS [WRONG]]: py seals a package; its id
sealed() {
    py ask seal ie "$@" | jq -er .xid
}

# note_digest KIND ID: of the last statement of this kind that py has, all its bytes
note_digest() {
    py ask show "$2" | jq -er --arg kind "$1" '[.said[] | select(.kind == $kind)] | last | .digest'
}

# shows FILTER ID: jq says `true` of what py has of a package
shows() {
    [ "$(py ask show "$2" | jq -r "$1")" = true ]
}

# newer_list: py has a list of ie that is not the first
newer_list() {
    [ "$(py ask papers ie | jq .crl)" -ge 2 ]
}

# opens_as_sent ID: ie opens a package of py, and it is what py sealed
opens_as_sent() {
    expect 0 "ie opens it" r ie package open "$1" --purpose trial "${why[@]}" --out "$WORK/ie-$1"
    diff -r "$WORK/py/sealed/$1" "$WORK/ie-$1/data" || fail "the opened package $1 differs from what py sealed"
    valid_bag "$WORK/ie-$1"
}

(cd "$WORK" && PYTHONPATH=$ROOT/tests "$PYTHON" -m peer.vectors) >"$WORK/out" || { said "$WORK/out"; fail "py reads vectors otherwise"; }
ok "$(tail -n 1 "$WORK/out")"

# ---- they meet --------------------------------------------------------------------------------------------------

new_authority ie mla.example.ie IE
sed -i 's/^# grace = .*/grace = "2 s"/' "$WORK/ie/rogatory.toml"
start ie
wait_serving ie
words=$(py init --authority peer.example.org --alias py --name "Another implementation" --country NL --listen "127.0.0.1:$(free_port)")
expect 0 "ie takes the card of py" r ie peer add "$WORK/py/py.card"
says "$words" "both find the same six words for it"
expect 0 "ie accepts py" r ie peer accept py --fingerprint "$words"
equal "both find the same six words for the card of ie" "$(fingerprint ie)" "$(py accept "$WORK/ie/ie.card")"
serve_py
asks "py reaches ie" '.dialled' ping ie
expect 0 "ie reaches py" r ie peer ping py
asks "ie has cosigned the log of py" '.cosigned["mla.example.ie"] >= 0' log

# Newer papers, in both directions: they are taken on the connection.
asks "py has a new card and a new certificate, and ie takes card and list" '.acked == {"card": 2, "crl": 2}' renew ie
equal "ie holds the new card" 2 "$(r ie peer show py --json | jq -r .card_number)"
expect 0 "ie renews its certificate and list" r ie cert renew
asks "py closes its connections" '. == {}' close
asks "py reaches ie with the new certificate" '.dialled' ping ie
within 30 "py has the new list of ie" newer_list

# ---- py sends ---------------------------------------------------------------------------------------------------

small=$(sealed 5000)
asks "py delivers a small package, its payload unasked" '.ended == "done"' deliver "$small"
wait_state ie "$small" held
opens_as_sent "$small"
both=$(r ie receipt list --package "$small" --json | jq -r '[.[] | select(.kind == "handover" and .countersigned)][0].digest')
equal "both have the same handover" "$(note_digest handover "$small")" "$both"

large=$(sealed 5500000)
asks "py is cut off after two segments" '.ended == "cut"' deliver "$large" 2
asks "ie asks for the rest only, and py is cut off again" '.ended == "cut" and .runs == [[2, 1], [3, 1]]' deliver "$large" 2
kill_hard ie
start ie
wait_serving ie
asks "py gives up its connections to the one that was killed" '. == {}' drop
asks "ie lives again, and takes what it has not" '.ended == "done" and .runs[-1] == [5, 1]' deliver "$large"
asks "the same offer once more is answered with done" '.ended == "done"' deliver "$large"
opens_as_sent "$large"

# Terms become stricter, and then too strict.
asks "py restricts what ie holds" '.ended == "done"' restrict "$large" '{"purposes": ["trial"], "use_report": true}'
expect 4 "ie obeys: prosecution is over" r ie package open "$large" --purpose prosecution "${why[@]}" --out "$WORK/refused"
within 30 "py has a report of what was done" shows '[.said[] | select(.kind == "use-report")] | length == 1' "$large"
asks "py says it once more" '.ended == "done"' repeat "$large" restriction-changed
asks "py takes it back" '.ended == "done"' restrict "$large" '{"retain_until": "2026-01-01"}'
expect 4 "ie obeys: it is not opened any more" r ie package open "$large" --purpose trial "${why[@]}" --out "$WORK/refused"
expect 0 "ie destroys what is due" r ie package purge --due --yes
within 30 "py has signed that too" shows '.ended == "destroyed" and ([.said[] | select(.kind == "destroyed" and .signatures == 2)] | length == 1)' "$large"
wait_state ie "$large" destroyed

# Ends without a handover.
taken=$(sealed 3000000)
asks "another one is cut off" '.ended == "cut"' deliver "$taken" 1 openly
asks "py takes back what was not consigned" '.ended == "done"' end "$taken" withdrawn order-annulled
equal "ie has dropped it" lapsed "$(state ie "$taken")"
expired=$(sealed 3000)
asks "one that was never offered expires" '.ended == "done"' end "$expired" expired too-late
over=$(sealed 3000 '{"retain_until": "2026-01-01"}')
asks "ie rejects what it may not keep, and py checks that" '.ended == "rejected" and .code == "retention-ended"' deliver "$over"
closed=$(sealed 3000 '{}' header)
asks "a header that opens nothing" '.ended == "done"' deliver "$closed"
equal "ie has signed handover-failed, and py as well" 'handover-failed 2' \
    "$(py ask show "$closed" | jq -r '.said[-1] | "\(.kind) \(.signatures)"')"
false=$(sealed 3000 '{}' item)
asks "an item that is not what the manifest says" '.ended == "done"' deliver "$false"
expect 7 "ie does not open that" r ie package open "$false" --purpose trial "${why[@]}" --out "$WORK/false"
within 30 "py is told that the content does not match" shows '.reasons["content-mismatch"] == "item"' "$false"

# ---- ie sends ---------------------------------------------------------------------------------------------------

evidence=$WORK/evidence
mkdir -p "$evidence/phone"
head -c 4000000 /dev/urandom >"$evidence/phone/clip.mp4"
printf 'overview\n' >"$evidence/Übersicht – Telefon.txt"
: >"$evidence/empty.txt"
printf 'report\n' >"$WORK/report.txt"

# opens_at_py ID PURPOSE PATH: py opens a package of ie, and it is what ie sealed
opens_at_py() {
    asks "py opens it for $2, every digest right" '.items | length > 0' open "$1" "$2" "$WORK/py-$1"
    diff -r "$3" "$WORK/py-$1/data/$(basename "$3")" || fail "the package $1 differs at py from what was sent"
    valid_bag "$WORK/py-$1"
}

# closes ID: both sides are through with handing it over
closes() {
    wait_state ie "$1" closed
    equal "both have the same handover" "$(note_digest handover "$1")" \
        "$(r ie receipt list --package "$1" --json | jq -er '[.[] | select(.kind == "handover" and .countersigned)][0].digest')"
}

little=$(send ie py "$WORK/report.txt" --title "A report")
closes "$little"
opens_at_py "$little" prosecution "$WORK/report.txt"
asks "py writes it for age" '. == {}' export "$little" "$WORK/little.age" "$WORK/py.key"
age -d -i "$WORK/py.key" "$WORK/little.age" | tar x -O data/report.txt | cmp - "$WORK/report.txt" || fail "age and tar read something else"
ok "age and tar read the same"

asks "py will be cut off after two segments" '. == {}' cut-next 2
folder=$(send ie py "$evidence")
closes "$folder"
opens_at_py "$folder" trial "$evidence"
asks "py asked for the rest only" '.asked == [[[0, 4]], [[2, 2]]]' show "$folder"

expect 0 "ie restricts what py holds" r ie package restrict "$folder" --purpose trial "${why[@]}"
within 30 "py has the stricter terms" shows '.terms.purposes == ["trial"]' "$folder"
asks "py obeys: prosecution is over" '.refused == "purpose: prosecution"' open "$folder" prosecution "$WORK/refused"
expect 0 "ie takes it back" r ie package withdraw "$folder" "${why[@]}"
within 30 "py was told" shows '.reasons["restriction-changed"] == "withdrawn"' "$folder"
asks "py obeys: it is not opened any more" '.refused == "over"' open "$folder" trial "$WORK/refused"
asks "py destroys it, and ie signs that too" '.ended == "receipt" and .kind == "destroyed"' destroy "$folder"
signed=$(note_digest destroyed "$folder")
asks "py says so once more, with the same answer" '.kind == "destroyed"' repeat "$folder" destroyed
equal "it is the same statement" "$signed" "$(note_digest destroyed "$folder")"
wait_state ie "$folder" destroyed

# One more use, asked for in both directions.
asks "py asks for one more use" '.ended == "done"' ask "$little" civil-claim "claim of the injured party"
wish=$(r ie consent list --json | jq -er '.[0].id')
expect 0 "ie gives its consent" r ie consent grant "$wish" --until "$(date -d "+200 days" +%F)" "${why[@]}"
within 30 "py has the consent" shows '[.said[] | select(.kind == "consent-given")] | length == 1' "$little"
expect 0 "ie asks for one more use" r ie package ask-use "$small" --use civil-claim "${why[@]}"
within 30 "py has the wish" shows '[.said[] | select(.kind == "consent-asked")] | length == 1' "$small"
asks "py refuses" '.ended == "done"' answer "$small" consent-refused -
expect 4 "ie obeys" r ie package open "$small" --purpose civil-claim "${why[@]}" --out "$WORK/refused"

asks "py rejects what comes" '. == {}' refuse not-today
rejected=$(send ie py "$WORK/report.txt")
wait_state ie "$rejected" rejected
asks "py takes what comes" '. == {}' refuse no
asks "py will be cut off for good" '. == {}' cut-next 2 yes
taken_back=$(send ie py "$evidence")
within 30 "ie cannot reach py" holds ie '.state == "dispatched" and .attempts >= 1' transfer show "$taken_back"
expect 0 "ie takes it back before it is consigned" r ie package withdraw "$taken_back" "${why[@]}"
asks "py lets others in again" '. == {}' deaf no
asks "and reaches ie" '.ses | length == 64' ping ie
within 60 "py was told, and has dropped it" shows '.ended == "withdrawn" and (.payload | not)' "$taken_back"

# ---- what auditors say ------------------------------------------------------------------------------------------

# cosigned: py has cosigned all of ie's log
cosigned() {
    [ "$(r ie log status --json | jq -r '.size == ([.cosigned[]?.size, .witnesses[]?.size] | max)')" = true ]
}

py keys >"$WORK/keys.txt"
within 60 "py has cosigned the log of ie" cosigned
for id in "$small" "$large" "$taken" "$over" "$closed" "$false" "$little" "$folder" "$rejected" "$taken_back"; do
    expect 0 "ie exports the receipts" r ie receipt export "$id" --out "$WORK/bundle-$id"
    expect 0 "an auditor finds them good, and cosigned, by the keys that py has" "$AUDIT" verify "$WORK/bundle-$id" --keys "$WORK/keys.txt" --quorum 1
done
asks "py has seen nothing wrong" '.faults == []' faults

# ---- py lies ----------------------------------------------------------------------------------------------------

stop_py
pid=${PID[ie]}
mkfifo "$WORK/lies"
PYTHONPATH=$ROOT/tests "$PYTHON" -m peer.hostile "$WORK/py" --alias ie --pid "$pid" --log "$WORK/ie.log" -- "$BIN" --home "$WORK/ie" >"$WORK/lies" 2>"$WORK/hostile.err" &
PID[hostile]=$!
lies=0 known=0
while IFS=$'\t' read -r result what answer; do
    lies=$((lies + 1))
    case $result in
        ok) ok "$what: $answer" ;;
        KNOWN) known=$((known + 1)) && printf '  known  %s: %s\n' "$what" "$answer" ;;
        *) fail "$what: $answer" ;;
    esac
done <"$WORK/lies"
wait "${PID[hostile]}" || fail "the lies ended with $?"
unset "PID[hostile]"
[ "$lies" -ge 100 ] || fail "only $lies lies were told"
echo "  $lies lies, $known of them known to be believed"
kill -0 "$pid" || fail "ie has ended"
ok "ie is the same process as before the lies"
forked=$(r ie status --json | jq -er 'first(.problems[] | select(.code == "follow-conflict")).subject')
expect 0 "ie exports the receipts of a package whose terms py has changed twice" r ie receipt export "$forked" --out "$WORK/bundle-forked"
expect 7 "the auditor's program says so" "$AUDIT" verify "$WORK/bundle-forked" --keys "$WORK/keys.txt" --json
equal "and names the two that exclude each other" "receipts-exclude" "$(jq -rs 'last.faults | map(.rule) | unique | join(" ")' "$WORK/out")"
says "peer.example.org has signed this and receipts/" "and who has signed them"
at_most "the most memory that ie had" "$RSS_KIB_MAX" "$(peak ie)" KiB

serve_py
last=$(sealed 2000000)
asks "an honest package of py still arrives" '.ended == "done"' deliver "$last"
opens_as_sent "$last"
last=$(send ie py "$WORK/report.txt")
closes "$last"
opens_at_py "$last" trial "$WORK/report.txt"
stop ie
stop_py
expect 0 "the state of ie is sound" r ie fsck
