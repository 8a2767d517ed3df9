#!/usr/bin/env bash
# limit: 200 s
# runs beside the others
# A report that a sender asks for is made, whenever its receiver is killed: between the terms that ask for it and the
# report, too.
#
#   ROUNDS   how many packages, each with a kill [default: 12]
source "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-12}

# reports ID: how many reports of this package ie has
reports() {
    r ie receipt list --package "$1" --json | jq '[.[] | select(.kind == "use-report")] | length'
}

# has_one ID
has_one() {
    [ "$(reports "$1")" -eq 1 ]
}

# has_begun: whether a MiB has left under the opening of the large package
has_begun() {
    [ "$(du -sk "$WORK/large.d.partial" | cut -f 1)" -ge 1024 ]
}

two_authorities
head -c 10000 /dev/urandom >"$WORK/file"
ids=()
for ((n = 0; n < ROUNDS; n++)); do
    ids+=("$(send ie de "$WORK/file")")
done
for id in "${ids[@]}"; do
    wait_state ie "$id" closed
done
expect 0 "de opens one of them" r de package open "${ids[0]}" --purpose trial --justification hearing --out "$WORK/out.d"
for id in "${ids[@]}"; do
    r ie package restrict "$id" --use-report --justification 'question of the court' >/dev/null &
    asking=$!
    # Terms arrive some milliseconds after they are stated, and a report follows some milliseconds later.
    sleep "0.0$((RANDOM % 8))$((RANDOM % 10))"
    kill_hard de
    wait "$asking" || fail "ie cannot ask for a report of $id"
    serve de
done
ok "$ROUNDS packages, of each a report is asked for; $ROUNDS kills"
for id in "${ids[@]}"; do
    within 30 "ie has the report of $id" has_one "$id"
done
sleep 2
for id in "${ids[@]}"; do
    equal "and no second one" 1 "$(reports "$id")"
done
# Bytes that left under an opening of a process that was killed are in the report, though nothing had stated them yet.
head -c 200000000 /dev/urandom >"$WORK/large"
large=$(send ie de "$WORK/large")
wait_state de "$large" held
"$BIN" --home "$WORK/de" package open "$large" --purpose trial --justification hearing --out "$WORK/large.d" >/dev/null 2>&1 &
opening=$!
patient 20 has_begun || fail "the opening does not begin"
kill_hard de
wait "$opening" && fail "the opening was over before"
expect 0 "ie asks what was done with it" r ie package restrict "$large" --use-report --justification 'question of the court'
serve de
within 30 "ie has a report of it" has_one "$large"
seq=$(r ie receipt list --package "$large" --json | jq -r '.[] | select(.kind == "use-report") | .seq')
equal "that lists the opening" access "$(r ie receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r '[.uses[]?.kind] | join(" ")')"

stop de
stop ie
for side in ie de; do
    expect 0 "fsck of $side finds nothing" "$BIN" --home "$WORK/$side" fsck
done
