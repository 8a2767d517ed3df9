#!/usr/bin/env bash
# limit: 240 s
# A peer with a valid certificate floods a daemon in every way that tests/peer/flood_*.py know, a new peer each way: the ledger, the log,
# the payloads, the daemon's own lines and its memory grow by no more than their budgets, whoever was put off is told so in typed words,
# and an honest daemon's packages arrive all the while.
#
#   ROGATORY_FLOOD_SECONDS   how long each way goes on [default: 3]; 60 is a campaign of half an hour
#   ROGATORY_FLOOD_GROWTH    what the daemon is told for limits.peer_growth, in place of the budget: with "1 GiB" the script must fail
#   ROGATORY_FLOOD_ONLY      only ways whose name has this in it
source "$(dirname "$0")/lib.sh"

PYTHON=$ROOT/tests/.venv/bin/python3
"$PYTHON" -c 'import aioquic' 2>/dev/null || skip "aioquic is not here: tests/run --install-only installs it"
EACH=${ROGATORY_FLOOD_SECONDS:-3}
MIB=$((1 << 20))

# The budgets of one peer; the honest one, which sends a package every two seconds, has the same.
GROWTH=$(((1 + (EACH + 1) / 4) * MIB))
QUOTA=$((8 * MIB))
UNOPENED=$((100 + 16 * EACH))
# So much of it is under way when the account is used up: 16 exchanges with all that they lead to.
PLACES=16
UNDER_WAY=$((PLACES * 64 * 1024))
# What is kept until it is opened is counted by the quota: small payloads, and headers.
KEPT=$((QUOTA + UNOPENED * 64 * 1024))
# A leaf takes more than this of the account; a line of the log is shorter than this on average, and there are three levels.
LEAF=1024 LINE=1024 LEVELS=3

# limit KEY VALUE: a line in [limits] of ie
limit() {
    sed -i "s|^\[limits\]\$|[limits]\n$1 = $2|" "$WORK/ie/rogatory.toml"
    expect 0 "ie has limits.$1 = $2" r ie check config
}

new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
limit peer_growth "\"${ROGATORY_FLOOD_GROWTH:-$((GROWTH / MIB)) MiB}\""
limit peer_quota "\"$((QUOTA / MIB)) MiB\""
limit peer_unopened "$UNOPENED"
start ie
start de
wait_serving ie
wait_serving de
trust ie de
trust de ie
expect 0 "de reaches ie" r de peer ping ie
printf 'evidence\n' >"$WORK/small.txt"

# joined WORDS…: with a byte between them that none of them has
joined() {
    local IFS=$'\x1f'
    echo "$*"
}

pid=${PID[ie]}
mkfifo "$WORK/ways"
PYTHONPATH=$ROOT/tests "$PYTHON" -m peer.flood "$WORK/floods" --card "$WORK/ie/ie.card" --state "$WORK/ie/state" --pid "$pid" --log "$WORK/ie.log" \
    --honest de --honest-command "$(joined "$BIN" --home "$WORK/de" package send --wait --to ie "${TERMS[@]}" "$WORK/small.txt")" \
    --port "$(free_port)" --seconds "$EACH" --only "${ROGATORY_FLOOD_ONLY:-}" -- "$BIN" --home "$WORK/ie" >"$WORK/ways" 2>"$WORK/flood.err" &
PID[flood]=$!

# row ONE: a row of the table
row() {
    local kib='(. / 1024 | round)'
    jq -r "[(.way | .[:50]), .seconds, .steps, (.grew.ledger | $kib), (.grew.grown | $kib), .grew.leaves, .grew.grown_leaves, (.grew.tiles | $kib),
        (.grew.payload | $kib), (.grew.log | $kib), .lines + .others, (.after.rss | $kib), .grew.cpu, .honest.ms, .honest.ms_max, (.said | to_entries | map(\"\(.key) \(.value)\")
        | .[:3] | join(\", \"))] | @tsv" <<<"$1" | {
        IFS=$'\t' read -ra cells
        printf '  %-50s %4s %6s %7s %7s %6s %6s %6s %7s %6s %5s %6s %6s %6s %6s  %s\n' "${cells[@]}"
    }
}

# wrong WHAT: goes on, so that all that is wrong is seen, and the script fails in the end
WRONG=0
wrong() {
    WRONG=$((WRONG + 1))
    printf '  WRONG  %s\n' "$*" >&2
}

# within_budget WAY WHAT BUDGET GOT
within_budget() {
    [ "$4" -le "$3" ] || wrong "$1: $2: $4, the budget is $3"
    CHECKS=$((CHECKS + 1))
}

# so WAY WHAT FILTER ONE: jq says `true`
so() {
    [ "$(jq -r "$3" <<<"$4")" = true ] || wrong "$1: $2: $(jq -c '{said, problems, honest: .honest.failed}' <<<"$4")"
    CHECKS=$((CHECKS + 1))
}

# Every answer is one of the protocol's own, and none is silence.
TYPED="^(hello|not handed over|sent|said|end|held|cosignature|accept|consigned|done|ack (card|crl)|(terms, )?(later|fault|rejected) [a-z0-9-]+|handover(-failed)?, done|closed [01] '[a-z-]*')$"

# judge ONE: what one way made grow, against the budgets
judge() {
    local way ledger leaves unaccounted lines line_bytes others honest seconds payload tiles rss wal forged grown cpu keeps
    IFS=$'\t' read -r way < <(jq -r .way <<<"$1")
    read -r ledger leaves unaccounted lines line_bytes others honest seconds payload tiles rss wal forged grown cpu keeps < <(jq -r '[.grew.ledger,
        .grew.leaves - .grew.honest_leaves, .grew.leaves - .grew.honest_leaves - .grew.grown_leaves - .asked_for, .lines, .line_bytes, .others, .grew.honest, .seconds + 1,
        .grew.payload, .grew.tiles, .after.rss, .after.wal, .forged, .grew.grown, (.grew.cpu / .steps | floor), .keeps] | @tsv' <<<"$1")
    # The honest daemon's rows take less than twice what is counted for them.
    ledger=$((ledger - 2 * honest))
    [ "$keeps" = false ] || ledger=$((ledger - KEPT))
    within_budget "$way" "bytes of the ledger" $((GROWTH + UNDER_WAY)) "$ledger"
    within_budget "$way" "bytes in the account" $((GROWTH + UNDER_WAY)) "$grown"
    within_budget "$way" "leaves of the log" $((GROWTH / LEAF + 4 * PLACES)) "$leaves"
    within_budget "$way" "leaves that no peer's account shows" 0 "$unaccounted"
    within_budget "$way" "bytes of tiles" $((GROWTH + MIB)) "$tiles"
    within_budget "$way" "bytes of payloads" $((QUOTA + MIB)) "$payload"
    within_budget "$way" "lines about the peer" $((LEVELS * (200 + 2 * seconds))) "$lines"
    within_budget "$way" "bytes of lines about the peer" $((LEVELS * (200 + 2 * seconds) * LINE)) "$line_bytes"
    within_budget "$way" "lines about nobody" $((200 + 2 * seconds)) "$others"
    within_budget "$way" "lines that a peer has written" 0 "$forged"
    within_budget "$way" "bytes of the write-ahead log" $((64 * MIB)) "$wal"
    within_budget "$way" "ms of a processor for each thing that was said" 1000 "$cpu"
    within_budget "$way" "bytes of memory" $((128 * MIB)) "$rss"
    so "$way" "each answer is typed" ".said | keys | all(test(\"$TYPED\"))" "$1"
    so "$way" "its answers" '.must == "" or .must as $must | .said | has($must)' "$1"
    so "$way" "all of the honest daemon's packages arrived" '.honest.failed == []' "$1"
    # What was used comes back by some bytes a second.
    if [ "$grown" -ge $((GROWTH + MIB / 64)) ] || [ "$(jq -r .spends <<<"$1")" = true ]; then
        so "$way" "status names the peer" '.problems | contains(["peer-quota"])' "$1"
        so "$way" "the peer is told of it" '.said | keys | any(endswith(" quota"))' "$1"
    fi
}

printf '  %-50s %4s %6s %7s %7s %6s %6s %6s %7s %6s %5s %6s %6s %6s %6s  %s\n' "" s said ledger account leaves acc. tiles payload log lines rss cpu ms max "(KiB, ms)"
WAYS=0
while IFS= read -r one; do
    if [ "$(jq -r .way <<<"$one")" = nothing ]; then
        printf '  %-123s %6s %6s\n' "nothing but the honest daemon" "$(jq .honest.ms <<<"$one")" "$(jq .honest.ms_max <<<"$one")"
        continue
    fi
    WAYS=$((WAYS + 1))
    row "$one"
    judge "$one"
done <"$WORK/ways"
wait "${PID[flood]}" || fail "the floods ended with $?"
unset "PID[flood]"
[ "$WAYS" -ge 1 ] || fail "no way has such a name"
kill -0 "$pid" || fail "ie has ended"
ok "ie is the same process as before $WAYS floods"
stop de
stop ie
expect 0 "the state of ie is sound" r ie fsck
[ "$WRONG" -eq 0 ] || fail "$WRONG of what was measured is beyond its budget"
