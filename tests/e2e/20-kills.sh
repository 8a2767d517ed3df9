#!/usr/bin/env bash
# limit: 1800 s
# kill -9 of either daemon at random moments of transfers in flight: nothing acknowledged is lost or doubled, at most
# 64 MiB go over the wire twice, and the daemon serves again within a second.
#
#   KILLS      how many kills must fall into a transfer [default: 50]
#   KILL_MIB   size of the package that is in flight, in MiB [default: 96]
#   SEED       replays the choices of an earlier run (not its timing)
source "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-50}
KILL_MIB=${KILL_MIB:-96}
SEED=${SEED:-$((SRANDOM % 32768))}
RANDOM=$SEED
SERVING_MS_MAX=1000
RESENT_MIB_MAX=64
echo "  seed $SEED, $KILLS kills, $KILL_MIB MiB a package"
enough_disk $((KILL_MIB * KILLS * 3 / 1024 + 4))
two_authorities

declare -A CONTENT # id → SHA-256 of the one file in it, for every package that was acknowledged
big=$WORK/big.bin
unacknowledged=0

content_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}

# make_small ROUND: three files of 10 KiB
make_small() {
    local n
    SMALL=()
    for n in 1 2 3; do
        SMALL+=("$WORK/small-$1-$n.bin")
        head -c 10240 /dev/urandom >"${SMALL[-1]}"
    done
}

# send_small: packages of them, whose sending overlaps with the kill; each leaves its id, or nothing
send_small() {
    local file
    SENDERS=()
    for file in "${SMALL[@]}"; do
        { send ie de "$file" >"$file.id" 2>/dev/null || : >"$file.id"; } &
        SENDERS+=("$!")
    done
}

# collect_small: waits for them; an id that was printed is an acknowledgement
collect_small() {
    local file id
    wait "${SENDERS[@]}" || true
    for file in "${SMALL[@]}"; do
        id=$(cat "$file.id")
        if [ -n "$id" ]; then
            CONTENT[$id]=$(content_of "$file")
        else
            unacknowledged=$((unacknowledged + 1))
        fi
        rm -f "$file" "$file.id"
    done
}

# same_content ID: de opens the package and finds what ie sealed
same_content() {
    local out=$WORK/opened got
    r de package open "$1" --purpose trial --justification "comparison" --out "$out" >/dev/null 2>"$WORK/err" ||
        fail "$1 cannot be opened: $(cat "$WORK/err")"
    got=$(find "$out/data" -type f -exec sha256sum {} + | cut -d ' ' -f 1)
    [ "$got" = "${CONTENT[$1]}" ] || fail "the content of $1 is not what was sent"
    rm -rf "$out"
}

# How long an undisturbed transfer takes after `send` came back: the kills fall into that time.
head -c "${KILL_MIB}M" /dev/urandom >"$big"
id=$(send ie de "$big")
began=$(now_ms)
wait_state ie "$id" closed 120
window=$(($(now_ms) - began + 20))
CONTENT[$id]=$(content_of "$big")
echo "  an undisturbed transfer takes $window ms"

done_kills=0 missed=0 slowest=0 most_resent=0
for ((round = 1; done_kills < KILLS; round++)); do
    [ "$missed" -le $((KILLS * 5)) ] || fail "$missed kills came after their transfer had ended, $done_kills in it"
    head -c "${KILL_MIB}M" /dev/urandom >"$big"
    if ((RANDOM % 2)); then victim=ie; else victim=de; fi
    pause=$((RANDOM % window))
    sum=$(content_of "$big")
    make_small "$round"
    id=$(send ie de "$big")
    CONTENT[$id]=$sum
    send_small
    sleep "$(printf '%d.%03d' $((pause / 1000)) $((pause % 1000)))"
    kill_hard "$victim"

    # What the survivor knows says whether the transfer was under way, and how much of it had arrived.
    if [ "$victim" = de ]; then
        before=$(state ie "$id")
        arrived=0
    else
        before=$(state de "$id")
        arrived=$(transfer_bytes de "$id" done_bytes)
    fi
    start "$victim"
    wait_serving "$victim" 10
    took=$SERVING_MS
    [ "$took" -le "$slowest" ] || slowest=$took
    [ "$took" -le "$SERVING_MS_MAX" ] || fail "$victim served again only after $took ms (round $round, seed $SEED)"
    collect_small

    # Bytes sent are counted by the sending daemon since it started; its figure stands until the exchange is closed.
    sent=0 began=$(now_ms)
    while now=$(state ie "$id"); [ "$now" != closed ]; do
        bytes=$(transfer_bytes ie "$id" sent_bytes)
        [ "$bytes" -le "$sent" ] || sent=$bytes
        [ $(($(now_ms) - began)) -lt 90000 ] || fail "$id is still $now 90 s after the kill of $victim (round $round, seed $SEED)"
        sleep 0.02
    done
    bytes=$(transfer_bytes ie "$id" sent_bytes)
    [ "$bytes" -le "$sent" ] || sent=$bytes
    wait_state de "$id" held 30
    case "$victim:$before" in
        de:closed | ie:held)
            missed=$((missed + 1))
            window=$((window * 7 / 8 + 10)) # it takes less time than the first one did
            printf '  --  round %d: %s died %d ms after the package was spooled, which was after its handover\n' "$round" "$victim" "$pause"
            ;;
        *)
            len=$(r ie package show "$id" --json | jq -er .len)
            resent=$((sent - (len - arrived)))
            [ "$resent" -ge 0 ] || resent=0
            [ "$resent" -le "$most_resent" ] || most_resent=$resent
            [ "$resent" -le $((RESENT_MIB_MAX << 20)) ] ||
                fail "$resent bytes went over the wire twice after the kill of $victim (round $round, seed $SEED)"
            done_kills=$((done_kills + 1))
            ok "kill $done_kills: $victim, $pause ms in (other side: $before), served after $took ms, $((resent >> 10)) KiB sent twice"
            ;;
    esac
done
at_most "slowest return to service" "$SERVING_MS_MAX" "$slowest" ms
at_most "most bytes sent twice after one kill" $((RESENT_MIB_MAX << 10)) $((most_resent >> 10)) KiB

# Everything acknowledged is there, once, whole, and receipted by both.
for id in "${!CONTENT[@]}"; do
    wait_state ie "$id" closed 120
    wait_state de "$id" held 60
    handed_over "$id" ie de
    same_content "$id"
done
ok "${#CONTENT[@]} acknowledged packages are held once, with equal content and one handover receipt signed by both"
for side in ie de; do
    doubled=$(r "$side" package list --json | jq '[.[].id] | length - (unique | length)')
    equal "packages that $side lists twice" 0 "$doubled"
done
held=$(r de package list --json | jq length)
[ "$held" -le $((${#CONTENT[@]} + unacknowledged)) ] || fail "de holds $held packages, ${#CONTENT[@]} were acknowledged and $unacknowledged were not"
ok "of $unacknowledged sends that failed with their daemon, $((held - ${#CONTENT[@]})) arrived all the same, none twice"
stop ie
stop de
