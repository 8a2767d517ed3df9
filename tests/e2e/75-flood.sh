#!/usr/bin/env bash
# limit: 180 s
# A daemon under a flood of first packets from thousands of addresses, and of handshakes that stop half-way: its memory
# and its journal stay bounded, nobody gets three times what they sent, and a known peer connects and delivers meanwhile.
source "$(dirname "$0")/lib.sh"

RATE=${FLOOD_RATE:-22000}
FLOOD_KIB_MAX=$((128 * 1024))

two_authorities
expect 0 "ie reaches de" r ie peer ping de
printf 'evidence\n' >"$WORK/small.txt"
id=$(send ie de "$WORK/small.txt")
wait_state de "$id" held 20
port=${LISTEN[de]##*:}

# fresh_peer ROUNDS WHAT: ie starts again without any connection; its first handshake with de, and a delivery, each round
fresh_peer() {
    local round began took worst=0 delivered=0
    for ((round = 0; round < $1; round++)); do
        kill_hard ie
        start ie
        wait_serving ie 20
        began=$(moment)
        # On a busy machine the kernel drops what the daemon has no time to read, also of a peer's first packets.
        until r ie peer ping de >"$WORK/out" 2>"$WORK/err"; do
            [ "$(took "$began")" -le 60000 ] || fail "$2: ie does not reach de: $(cat "$WORK/out" "$WORK/err")"
        done
        took=$(took "$began")
        [ "$took" -le "$worst" ] || worst=$took
        id=$(send ie de "$WORK/small.txt")
        wait_state de "$id" held 60
        delivered=$((delivered + 1))
    done
    ok "$2: the known peer connected in $worst ms at most, and $delivered packages were delivered meanwhile"
}

# flood WHAT SECONDS NUMBER: in the background, for so long at least and until `over`; ready when this returns
flood() {
    : >"$WORK/flood.err"
    BEGAN=$(moment)
    python3 "$ROOT/tests/e2e/flood.py" "$1" "$port" "$2" "$3" >"$WORK/flood.json" 2>"$WORK/flood.err" &
    FLOOD=$!
    until grep -q ready "$WORK/flood.err"; do
        kill -0 "$FLOOD" || fail "flood.py ended: $(cat "$WORK/flood.err")"
        sleep 0.05
    done
}

# over WHAT: what the flood has to say
over() {
    kill -TERM "$FLOOD"
    wait "$FLOOD" || fail "flood.py: $(cat "$WORK/flood.err")"
    kill -0 "${PID[de]}" || fail "$1: the daemon has ended"
    ok "$1: $(cat "$WORK/flood.json")"
    jq -e '.ratio <= 3' "$WORK/flood.json" >/dev/null || fail "$1: an address got more than three times what it sent"
    at_most "$1: memory of the daemon" "$FLOOD_KIB_MAX" "$(peak de)" KiB
}

lines=$(wc -l <"$WORK/de.log")
flood initials 10 "$RATE"
fresh_peer 3 "under first packets"
over "first packets"
# A machine that is busy with other things cannot send so many.
jq -e --argjson rate "$RATE" --argjson free "$(took "$BEGAN")" '.per_second >= 0.9 * $rate * ([$free / 1000 / .seconds, 0.3] | max | [., 1] | min)' \
    "$WORK/flood.json" >/dev/null || fail "the flood was slower than $RATE packets a second"
seconds=$(jq .seconds "$WORK/flood.json")
flood half-open 10 5000
fresh_peer 3 "under half-open handshakes"
over "half-open handshakes"
[ "$(jq .sent "$WORK/flood.json")" -ge 5000 ] || fail "fewer than 5,000 handshakes were begun"
seconds=$((seconds + $(jq .seconds "$WORK/flood.json")))
at_most "in $seconds s, the journal grew by" $((15 * seconds)) $(($(wc -l <"$WORK/de.log") - lines)) lines
expect 0 "de answers as before" r de status
stop de
stop ie
