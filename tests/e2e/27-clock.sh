#!/usr/bin/env bash
# limit: 600 s
# runs beside the others
# A wrong clock, at either side: 2,000 days ahead or 400 days behind for ten seconds, at a start and in the middle of work, with
# packages held and in flight and destroy = "automatic". Nothing is destroyed, expired or renewed; afterwards everything works,
# `status` says what happened, and the log has it. Then a clock that somebody confirms: what is due is destroyed, and papers of
# a future that never came are replaced. Clocks are libfaketime's.
source "$(dirname "$0")/lib.sh"

other() {
    [ "$1" = ie ] && echo de || echo ie
}

# papers NAME: from when until when certificate and list are valid
papers() {
    r "$1" cert status --json | jq -c .
}

# states NAME: each package with its state, and the papers
states() {
    r "$1" package list --json | jq -r 'sort_by(.id)[] | "\(.id) \(.state)"'
    papers "$1"
}

# unchanged NAME STATES
unchanged() {
    [ "$(states "$1")" = "$2" ]
}

# steps NAME: how often its log says that its clock was in doubt, or is not any more
steps() {
    r "$1" receipt list --json | jq '[.[] | select(.kind == "clock-step")] | length'
}

# stated NAME COUNT
stated() {
    [ "$(steps "$1")" -eq "$2" ]
}

# sure NAME: waits until it is sure of the time
sure() {
    within 60 "$1 is sure of the time" holds "$1" .sure clock status
}

# jumps NAME JUMP: from now on the clock of its running daemon is so far off
jumps() {
    echo "$2" >"$WORK/$1/offset.new"
    mv "$WORK/$1/offset.new" "$WORK/$1/offset"
}

# start_loose NAME: its daemon, with a clock that can jump
start_loose() {
    jumps "$1" +0
    FAKETIME_TIMESTAMP_FILE=$WORK/$1/offset FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1 LD_PRELOAD=$library start "$1"
    wait_serving "$1"
}

# exchanged FROM TO: a package goes all the way and opens
exchanged() {
    local id
    id=$(send "$1" "$2" "$WORK/sample.txt")
    wait_state "$2" "$id" held
    wait_state "$1" "$id" closed
    expect 0 "$2 opens what $1 sent" r "$2" package open "$id" --purpose trial --justification hearing --out "$WORK/out.d/$id"
}

library=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
[ -n "$library" ] || fail "libfaketime is not here: apt-get install faketime"
mkdir "$WORK/out.d"
echo evidence >"$WORK/sample.txt"
head -c 3000000 /dev/urandom >"$WORK/large.bin"
two_authorities
for side in ie de; do
    sed -i 's|^\[retention\]$|[retention]\ndestroy = "automatic"|' "$WORK/$side/rogatory.toml"
    stop $side
    start $side
    wait_serving $side
done
for file in sample.txt large.bin; do
    for side in ie de; do
        id=$(send $side "$(other $side)" "$WORK/$file")
        wait_state "$(other $side)" "$id" held
        wait_state $side "$id" closed
    done
done
expect 9 "there is nothing to confirm" r de clock confirm
expect 9 "nothing is due for renewal" r de cert renew --if-due

# A wrong clock at a start. What is in flight stays so: its receiver is away.
for wrong in de ie; do
    for days in +2000 -400; do
        right=$(other $wrong)
        stop $wrong
        flight=$(send $right $wrong "$WORK/large.bin")
        start $wrong
        wait_serving $wrong
        wait_state $wrong "$flight" held
        stop $right
        own=$(send $wrong $right "$WORK/large.bin")
        before=$(states $wrong)
        steps=$(steps $wrong)
        stop $wrong
        later $days
        start $wrong
        wait_serving $wrong
        holds $wrong '.sure == false and .doubt.at_start' clock status || fail "the clock of $wrong is believed at $days days"
        sleep 10
        holds $wrong 'any(.problems[]; .subject == "clock" and (.code | startswith("clock-")))' status || fail "status says nothing"
        unchanged $wrong "$before" || fail "$wrong has changed something: $(states $wrong)"
        ok "in ten seconds at $days days nothing was destroyed, expired or renewed at $wrong"
        expect 5 "nor is anything renewed by order" r $wrong cert renew
        # Killed in its doubt, which is not forgotten.
        kill_hard $wrong
        later
        start $wrong
        start $right
        wait_serving $wrong
        wait_serving $right
        sure $wrong
        within 30 "both steps of the clock stand in the log of $wrong" stated $wrong $((steps + 2))
        holds $wrong '.clock.last.doubt.at_start and all(.problems[]; .subject != "clock")' status || fail "status does not say what was"
        wait_state $right "$own" held
        wait_state $wrong "$own" closed
        within 10 "nothing else has changed at $wrong" unchanged $wrong "${before/$own dispatched/$own closed}"
        exchanged ie de
        exchanged de ie
    done
done
expect 0 "the record of the last step is there" r ie receipt show "$(r ie receipt list --json |
    jq -r '[.[] | select(.kind == "clock-step")] | max_by(.seq) | .seq')" --json
equal "it says what became of it" ended "$(jq -r '.record | fromjson | .step' "$WORK/out")"

# A clock that jumps in the middle of work: everything but what cannot be taken back goes on.
for wrong in de ie; do
    right=$(other $wrong)
    stop $wrong
    start_loose $wrong
    sure $wrong
    for days in +2000 -400; do
        before=$(papers $wrong)
        steps=$(steps $wrong)
        first=$(send $right $wrong "$WORK/large.bin")
        jumps $wrong ${days}d
        within 10 "$wrong sees the jump by $days days" holds $wrong '.doubt.at_start == false' clock status
        exchanged ie de
        exchanged de ie
        sleep 8
        wait_state $wrong "$first" held
        [ "$before" = "$(papers $wrong)" ] || fail "$wrong has renewed a paper"
        [[ $(states $wrong) != *@(destr|expired)* ]] || fail "something was destroyed or expired at $wrong"
        jumps $wrong +0
        sure $wrong
        within 30 "both steps of the clock stand in the log of $wrong" stated $wrong $((steps + 2))
        exchanged $right $wrong
    done
    stop $wrong
    start $wrong
    wait_serving $wrong
done

# The days did pass: somebody confirms it, and what is due is destroyed.
TERMS=(--case IE-2026-0117 --instrument EIO --purpose prosecution,trial --retain-until "$(date -u -d '+1 day' +%F)" --onward prohibited)
due=$(send ie de "$WORK/large.bin")
wait_state de "$due" held
wait_state ie "$due" closed
stop ie
stop de
later 3
start ie
start de
wait_serving ie
wait_serving de
expect 5 "nobody opens what may be over" r de package open "$due" --purpose trial --justification x --out "$WORK/no"
equal "a doubtful clock destroys nothing" held "$(state de "$due")"
expect 5 "and orders wait" r de package purge "$due" --justification x --yes
confirm de
confirm ie
wait_state de "$due" destroyed
wait_state ie "$due" destroyed

# A clock 65 days ahead is confirmed by mistake and papers are issued by it. Set right, it is confirmed again, and the papers
# are replaced without anybody's doing.
stop de
later 68
start de
wait_serving de
confirm de
expect 0 "and renews by it" r de cert renew
stop de
later 3
expect 0 "the configuration is good" r de check config
says 'own certificate: valid only from' "but it warns of the certificate"
start de
wait_serving de
holds de '[.problems[].code] | contains(["clock-behind", "not-yet-valid"])' status || fail "status does not show both"
expect 6 "ie refuses a certificate of the future" r ie peer ping de
confirm de
within 60 "the papers are replaced" holds de 'all(.problems[]; .code != "not-yet-valid")' status
within 60 "ie and de meet again" r ie peer ping de
TERMS=(--case IE-2026-0117 --instrument EIO --purpose prosecution,trial --retain-until 2031-12-31 --onward prohibited)
exchanged ie de
exchanged de ie
expect 0 "an operator renews at any time" r de cert renew --json
stop ie
stop de
later
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
