#!/usr/bin/env bash
# limit: 400 s
# runs beside the others
# Everything that the protocol has to say, said twice, out of its order, in two versions to one daemon, and one version to each of two:
# an authority in Python does so to two daemons that know each other. Never two truths at one of them, and a proof against whoever signed both.
#
#   ROGATORY_EQUIVOCATION_ONLY   only cells of the table whose kind and way have this in them
source "$(dirname "$0")/lib.sh"

PYTHON=$ROOT/tests/.venv/bin/python3
AUDIT=$(dirname "$BIN")/rogatory-audit
ONLY=${ROGATORY_EQUIVOCATION_ONLY:-}
[ -x "$AUDIT" ] || fail "no binary at $AUDIT"
"$PYTHON" -c 'import aioquic' 2>/dev/null || skip "aioquic is not here: tests/run --install-only installs it"

two_authorities
expect 0 "they know each other" r ie peer ping de
pids=("${PID[ie]}" "${PID[de]}")
mkfifo "$WORK/cells"
PYTHONPATH=$ROOT/tests "$PYTHON" -m peer.equivocation "$WORK/voices" --work "$WORK" --binary "$BIN" --audit "$AUDIT" --pids "${pids[@]}" \
    --only "$ONLY" >"$WORK/cells" 2>"$WORK/equivocation.err" &
PID[equivocation]=$!
FAILED=0
while IFS=$'\t' read -r result kind way what answer proof; do
    echo "$result,$kind,$way,$proof" >>"$WORK/table"
    case $result in
        ok) ok "$kind, $way: $what: $answer$([ "$proof" = - ] || echo "; proof at $proof")" ;;
        void) ;;
        *) FAILED=$((FAILED + 1)) && printf '  FAIL  %s, %s: %s: %s\n' "$kind" "$way" "$what" "$answer" >&2 ;;
    esac
done <"$WORK/cells"
wait "${PID[equivocation]}" || [ "$FAILED" -gt 0 ] || fail "it ended with $?"
unset "PID[equivocation]"

# The table: how often a cell was done, with how many proofs; `-` where there is nothing to do.
python3 - "$WORK/table" <<'PY'
import collections, sys
cells, kinds = collections.defaultdict(list), {}
for line in open(sys.argv[1]):
    result, kind, way, proof = line.rstrip("\n").split(",")
    kinds[kind] = None
    cells[kind, way].append((result, proof))
ways = ["twice", "reordered", "two versions", "apart"]
print(f"  {'':24}" + "".join(f"{way:>16}" for way in ways))
for kind in kinds:
    told = []
    for way in ways:
        done = [one for one in cells[kind, way] if one[0] != "void"]
        proofs = sum(proof != "-" for _, proof in done)
        told.append((f"{len(done)}" + (f" ({proofs} proved)" if proofs else "")) if done else "-")
    print(f"  {kind:24}" + "".join(f"{one:>16}" for one in told))
done = [one for cell in cells.values() for one in cell if one[0] != "void"]
print(f"  {len(kinds)} kinds, {len(done)} cases, {sum(proof != '-' for _, proof in done)} with a proof")
PY
[ "$FAILED" -eq 0 ] || fail "$FAILED cells"
for name in ie de; do
    equal "$name is the same process as before" "${pids[0]}" "${PID[$name]}"
    pids=("${pids[@]:1}")
    at_most "the most memory that $name had" "$RSS_KIB_MAX" "$(peak "$name")" KiB
done
sample=$WORK/sample.txt
echo sample >"$sample"
last=$(send ie de "$sample")
wait_state de "$last" held
wait_state ie "$last" closed
for name in ie de; do
    stop "$name"
    expect 0 "the state of $name is sound" r "$name" fsck
done
