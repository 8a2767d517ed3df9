#!/usr/bin/env bash
# limit: 180 s
# Limits on peers: bandwidths that hold, an urgent package that overtakes bulk under it, offers beyond the rate and
# beyond the quota that are told to come later and are counted.
source "$(dirname "$0")/lib.sh"

BULK_MIB=${BULK_MIB:-256}
MBIT=${MBIT:-200}
PEER_MBIT=40

# limit NAME KEY VALUE: a line in [limits]
limit() {
    sed -i "s|^\[limits\]\$|[limits]\n$2 = $3|" "$WORK/$1/rogatory.toml"
    expect 0 "$1 has limits.$2 = $3" r "$1" check config
}

# held_back NAME PEER FIELD
held_back() {
    r "$1" peer show "$2" --json | jq -r ".held_back.$3"
}

# has_sent ID BYTES: ie has sent more of it
has_sent() {
    [ "$(transfer_bytes ie "$1" done_bytes)" -gt "$2" ]
}

# holds_of NAME COUNT: so many packages have come
holds_of() {
    [ "$(r "$1" status --json | jq .held)" -ge "$2" ]
}

# waits_for_quota: prints those of the three that the quota holds back
waits_for_quota() {
    local id
    while read -r id; do
        [ "$(r ie transfer show "$id" --json | jq -r '.fault.code // ""')" != peer-quota ] || echo "$id"
    done <"$WORK/three" | grep .
}

new_authority ie mla.example.ie IE
new_authority de bfj.example.de DE
limit ie send_bandwidth "\"$MBIT Mbit/s\""
limit de peer_send_bandwidth "\"$PEER_MBIT Mbit/s\""
limit de offers_per_second 5
limit de peer_unopened 24
start ie
start de
wait_serving ie
wait_serving de
trust ie de
trust de ie
expect 0 "ie reaches de" r ie peer ping de

head -c $((BULK_MIB << 20)) /dev/urandom >"$WORK/bulk.bin"
head -c 3000000 /dev/urandom >"$WORK/urgent.bin"
printf 'evidence\n' >"$WORK/small.txt"
bulk=$(send ie de "$WORK/bulk.bin")
began=$(now_ms)
within 60 "8 MiB of the bulk are sent" has_sent "$bulk" $((8 << 20))
before=$(moment)
urgent=$(send ie de --urgent --wait "$WORK/urgent.bin")
took=$(took "$before")
equal "bulk is still under way then" dispatched "$(state ie "$bulk")"
echo "        3 MB, urgent, overtook $BULK_MIB MiB in $took ms"
equal "the urgent one is shown as such" true "$(r ie transfer show "$urgent" --json | jq -r .urgent)"
wait_state de "$bulk" held 120
took=$(($(now_ms) - began))
least=$(((BULK_MIB << 20) * 8 / MBIT / 1000 * 8 / 10))
[ "$took" -ge "$least" ] || fail "$BULK_MIB MiB took $took ms at $MBIT Mbit/s, at least $least were expected"
ok "$BULK_MIB MiB took $took ms at $MBIT Mbit/s"
[ "$(r ie status --json | jq .send_waited_ms)" -gt 0 ] || fail "nobody waited for the bandwidth"
ok "streams waited for the bandwidth, and status counts it"

# The other way, under the limit for one peer.
head -c 16000000 /dev/urandom >"$WORK/back.bin"
began=$(now_ms)
back=$(send de ie "$WORK/back.bin")
wait_state ie "$back" held 120
took=$(($(now_ms) - began))
least=$((16000000 * 8 / PEER_MBIT / 1000 * 8 / 10))
[ "$took" -ge "$least" ] || fail "16 MB took $took ms at $PEER_MBIT Mbit/s for a peer, at least $least were expected"
ok "16 MB took $took ms at $PEER_MBIT Mbit/s for a peer"

# 20 offers at once, 5 a second are looked at; with the two above and two more, 24 are unopened.
mkdir "$WORK/many"
for number in {1..20}; do echo "$number" >"$WORK/many/$number.txt"; done
expect 0 "ie sends 20 packages" r ie package send --to de "${TERMS[@]}" --each "$WORK"/many/*.txt
within 60 "all 22 came" holds_of de 22
[ "$(held_back de ie offers)" -gt 0 ] || fail "no offer was told to come later"
ok "$(held_back de ie offers) offers were told to come later"
for _ in 1 2 3; do send ie de "$WORK/small.txt" >>"$WORK/three"; done
# Which of the three comes too late is the network's affair.
within 60 "two more came" holds_of de 24
within 60 "one waits with peer-quota" waits_for_quota
late=$(waits_for_quota)
[ "$(held_back de ie quota)" -gt 0 ] || fail "the quota is not counted"
expect 0 "de opens one" r de package open "$urgent" --purpose trial --justification "hearing" --out "$WORK/opened"
wait_state de "$late" held 90
ok "then the waiting one is taken"
stop ie
stop de
