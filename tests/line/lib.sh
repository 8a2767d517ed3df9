# shellcheck shell=bash disable=SC2034  # the scripts read what is set here
# Two authorities at the two ends of a long line (line.c): source after tests/e2e/lib.sh. Takes root.
#
# ie lives at 10.77.0.1, de at 10.77.0.2, each in a network namespace of its own.

declare -A NET NET_PID
LINE=

# line_or_skip: builds the line; skips where it cannot run
line_or_skip() {
    [ "$(id -u)" -eq 0 ] || skip "network namespaces take root"
    [ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
    unshare --net true 2>/dev/null || skip "no network namespace can be made here"
    cc -O2 -Wall -Wextra -Werror -o "$WORK/line" "$ROOT/tests/line/line.c" || fail "tests/line/line.c cannot be built"
    local name
    for name in ie de; do
        unshare --net sleep infinity &
        NET_PID[$name]=$!
        NET[$name]=/proc/$!/ns/net
        within 5 "$name has a network of its own" other_network "${NET[$name]}"
    done
}

other_network() {
    [ "$(readlink "$1")" != "$(readlink /proc/self/ns/net)" ]
}

# line_up KEY=VALUE…: joins both by a line (line.c has the keys)
line_up() {
    : >"$WORK/line.out"
    "$WORK/line" "${NET[ie]}" "${NET[de]}" "$@" >"$WORK/line.out" 2>"$WORK/line.err" &
    LINE=$!
    until grep -q '^up$' "$WORK/line.out"; do
        kill -0 "$LINE" 2>/dev/null || skip "no line can be made here: $(cat "$WORK/line.err")"
        sleep 0.02
    done
}

line_down() {
    [ -n "$LINE" ] || return 0
    kill -TERM "$LINE"
    wait "$LINE" || true
    LINE=
}

# line_counts: COUNTS[in|lost|policed|full|out] of all packets from ie to de so far, BACK[…] the other way
declare -A COUNTS BACK
line_counts() {
    local lines word
    lines=$(wc -l <"$WORK/line.out")
    kill -USR1 "$LINE"
    until [ "$(wc -l <"$WORK/line.out")" -gt "$lines" ]; do sleep 0.01; done
    for word in $(tail -n 1 "$WORK/line.out" | cut -d'|' -f1); do COUNTS[${word%%=*}]=${word##*=}; done
    for word in $(tail -n 1 "$WORK/line.out" | cut -d'|' -f2); do BACK[${word%%=*}]=${word##*=}; done
}

# inside NAME COMMAND…: in the network of this authority
inside() {
    local name=$1
    shift
    nsenter "--net=${NET[$name]}" -- "$@"
}

# start NAME: as in tests/e2e/lib.sh, in the network of its own
start() {
    nsenter "--net=${NET[$1]}" -- "$BIN" --home "$WORK/$1" serve >>"$WORK/$1.log" 2>&1 &
    PID[$1]=$!
}

# authorities_on_line: `ie` and `de`, paired, not yet serving
authorities_on_line() {
    local name
    LISTEN[ie]=10.77.0.1:7443 LISTEN[de]=10.77.0.2:7443
    expect 0 "init ie" r ie init --authority mla.example.ie --name "Central Authority of IE" --country IE --listen "${LISTEN[ie]}" --alias ie
    expect 0 "init de" r de init --authority bfj.example.de --name "Central Authority of DE" --country DE --listen "${LISTEN[de]}" --alias de
    line_up rtt=1
    serving
    trust ie de
    trust de ie
    not_serving
    line_down
}

serving() {
    start ie
    start de
    wait_serving ie
    wait_serving de
}

not_serving() {
    stop ie
    stop de
}

# send_timed NAME FILE…: sends and waits for the receipt; MS is how long that took
send_timed() {
    local began
    began=$(now_ms)
    r ie package send --to de "${TERMS[@]}" --wait --json "$@" >"$WORK/out" 2>"$WORK/err" || fail "not sent: $(tail -n 3 "$WORK/err")"
    MS=$(($(now_ms) - began))
}

at_end() {
    local pid
    line_down
    for pid in "${NET_PID[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
