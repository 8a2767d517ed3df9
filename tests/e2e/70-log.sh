#!/usr/bin/env bash
# limit: 300 s
# runs beside the others
# The log as peers see it: cosigned, proved, guarded against old states, and a fork found by authorities that compare.
source "$(dirname "$0")/lib.sh"

# cosigned NAME BY SIZE: a witness has cosigned at least so many leaves
cosigned() {
    r "$1" log status --json | jq -e --arg by "$2" --argjson size "$3" '.cosigned[] | select(.by == $by and .size >= $size)'
}

# problem NAME CODE: `status` names it
problem() {
    r "$1" status --json | jq -e --arg code "$2" '.problems[] | select(.code == $code)'
}

leaves() {
    r "$1" log status --json | jq -er .size
}

# restart_with NAME FOLDER: its home becomes a copy of this folder
restart_with() {
    rm -rf "${WORK:?}/$1"
    cp -a "$WORK/$2" "$WORK/$1"
    start "$1"
    wait_serving "$1"
}

sample=$WORK/sample.txt
echo sample >"$sample"
two_authorities
new_authority fr bepi.justice.example.fr FR
start fr
wait_serving fr
trust fr ie
trust ie fr
trust fr de
trust de fr

# Cosigning and proofs.
id=$(send ie de "$sample")
wait_state ie "$id" closed
expect 0 "a checkpoint" r ie log checkpoint
size=$(leaves ie)
within 45 "de cosigns $size leaves of ie" cosigned ie bfj.example.de "$size"
within 45 "ie cosigns the log of de" cosigned de mla.example.ie 1
expect 0 "proofs of a package" r ie log prove "$id" --out "$WORK/proofs"
equal "proof files" "$(r ie receipt list --package "$id" --json | jq '[.[] | select(.leaf != null)] | length')" \
    "$(find "$WORK/proofs" -name '*.tlog-proof' | wc -l)"
expect 0 "a proof by digest" r ie log prove "$(r ie receipt list --package "$id" --json | jq -r '[.[] | select(.leaf != null)][0].digest')"
says '^c2sp.org/tlog-proof@v1' "it is a tlog-proof file"
says 'bfj.example.de/witness' "with the cosignature of de"
expect 8 "a proof of nothing" r ie log prove 0000000000000000000000000000000000000000000000000000000000000000
expect 0 "an export" r ie receipt export "$id" --out "$WORK/bundle"
equal "proofs in the export" "$(find "$WORK/bundle/log" -name '*.leaf.json' | wc -l)" "$(find "$WORK/bundle/log" -name '*.tlog-proof' | wc -l)"
within 45 "the published checkpoint is cosigned" grep -q 'bfj.example.de/witness' "$WORK/ie/state/log/checkpoint"
within 45 "all leaves are published" test -s "$WORK/ie/state/log/tile/0/000.p/$size"

# Derived files are made again.
stop ie
cp "$WORK/ie/state/log/tile/0/000.p/$size" "$WORK/tile"
echo damaged >"$WORK/ie/state/log/tile/0/000.p/$size"
rm "$WORK/ie/state/log/checkpoint"
start ie
wait_serving ie
within 45 "a damaged tile is written again" cmp "$WORK/tile" "$WORK/ie/state/log/tile/0/000.p/$size"
within 45 "a missing checkpoint is written again" test -s "$WORK/ie/state/log/checkpoint"

# A backup that is too old.
stop ie
cp -a "$WORK/ie" "$WORK/backup"
start ie
wait_serving ie
id=$(send ie de "$sample")
wait_state ie "$id" closed
expect 0 "another checkpoint" r ie log checkpoint
size=$(leaves ie)
within 45 "de cosigns $size leaves of ie" cosigned ie bfj.example.de "$size"
stop ie
mv "$WORK/ie" "$WORK/newest"
restart_with ie backup
within 45 "the restored daemon hears that its state is old" problem ie log-recovering
expect 11 "it signs no dispatch" r ie package send --to de "${TERMS[@]}" "$sample"
says "this state is older" "and says why"
expect 11 "it signs no checkpoint" r ie log checkpoint
held=$(leaves ie)
late=$(send de ie "$sample")
within 45 "an offer is told to wait" sh -c "'$BIN' --home '$WORK/de' transfer show $late --json | grep -q peer-recovering"
stop ie
start ie
wait_serving ie
problem ie log-recovering >/dev/null || fail "it forgot that its state is old"
ok "it remembers after a restart"
equal "leaves meanwhile" "$held" "$(leaves ie)"
stop ie
restart_with ie newest
if problem ie log-recovering >/dev/null; then fail "the newest state is called old"; fi
ok "with the newest state it goes on"
wait_state de "$late" closed 90

# A fork: the same keys on two machines.
stop ie
cp -a "$WORK/ie" "$WORK/copy"
port=$(free_port)
sed -i "s/${LISTEN[ie]}/127.0.0.1:$port/" "$WORK/copy/rogatory.toml"
start ie
wait_serving ie
one=$(send ie de "$sample")
wait_state ie "$one" closed
expect 0 "a checkpoint of the first" r ie log checkpoint
size=$(leaves ie)
within 45 "de cosigns $size leaves of the first" cosigned ie bfj.example.de "$size"
stop de
start copy
wait_serving copy
two=$(send copy fr "$sample")
wait_state copy "$two" closed
equal "leaves of the second" "$size" "$(leaves copy)"
expect 0 "a checkpoint of the second" r copy log checkpoint
within 45 "fr cosigns $size leaves of the second" cosigned copy bepi.justice.example.fr "$size"
start de
wait_serving de
expect 0 "de and fr meet" r de peer ping fr
for name in de fr; do
    within 45 "$name finds the fork" problem "$name" log-forked
    folder=$(r "$name" log status --json | jq -er '.alarms[0] | select(.kind == "fork") | .files')
    within 45 "$name keeps both checkpoints" test -s "$folder/later.note"
    equal "their origin and size at $name" "$(head -n 2 "$folder/earlier.note")" "$(head -n 2 "$folder/later.note")"
    ! cmp -s "$folder/earlier.note" "$folder/later.note" || fail "they are the same"
done
after=$(send ie de "$sample")
wait_state ie "$after" closed
ok "exchange goes on"
sleep 12
if cosigned ie bfj.example.de $((size + 1)) >/dev/null; then fail "de still cosigns a forked log"; fi
ok "the forked log is cosigned no more"
stop copy
