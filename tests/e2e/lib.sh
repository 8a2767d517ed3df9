# shellcheck shell=bash disable=SC2034  # the scripts read what is set here
# What the scripts beside this file share: two authorities in a folder of their own, as real daemons of the release
# binary, and checks that say what was expected. Source it first; everything it starts ends with the script.
#
#   ROGATORY   the binary to test [default: target/release/rogatory]
#   E2E_DIR    where the folder is made [default: /var/tmp]
#   KEEP=1     leave the folder after a failure

set -Eeuo pipefail
exec </dev/null
export LC_ALL=C.UTF-8

# As root, in a mount namespace of its own: what a script mounts ends with it, and no other process takes it along. One that
# did would keep a disk alive whose power is gone.
if [ "$(id -u)" -eq 0 ] && [ -z "${OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
    OWN_MOUNTS=yes exec unshare --mount --propagation private "$0" "$@"
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# For Python in the scripts: api.py, and no compiled files beside it.
export PYTHONPATH=$ROOT/tests/e2e PYTHONDONTWRITEBYTECODE=1
BIN=${ROGATORY:-${CARGO_TARGET_DIR:-$ROOT/target}/release/rogatory}
BAGIT=$ROOT/tests/.venv/bin/bagit.py
SCRIPT=$(basename "$0" .sh)
RSS_KIB_MAX=$((96 * 1024))
CHECKS=0
declare -A PID LISTEN PEAK
MOUNTS=() # what the script has mounted below $WORK

[ -x "$BIN" ] || { echo "$SCRIPT: no binary at $BIN: cargo build --release --locked" >&2; exit 1; }
WORK=$(mktemp -d "${E2E_DIR:-/var/tmp}/rogatory-$SCRIPT.XXXXXX")
echo "$SCRIPT: $BIN, in $WORK"

# ---- saying what is so ------------------------------------------------------------------------------------------

ok() {
    CHECKS=$((CHECKS + 1))
    printf '  ok  %s\n' "$*"
}

# lines: those of the script that led here, the innermost first
lines() {
    local at found=()
    for ((at = 1; at < ${#BASH_SOURCE[@]}; at++)); do
        [ "${BASH_SOURCE[at]}" = "${BASH_SOURCE[0]}" ] || found+=("${BASH_LINENO[at - 1]}")
    done
    echo "${found[*]}"
}

fail() {
    printf '  FAIL  %s, line %s: %s\n' "$SCRIPT" "$(lines)" "$*" >&2
    exit 1
}

# skip REASON: this machine cannot run the script. Whoever runs it counts that apart.
skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}

# as_root WHAT: needs it
as_root() {
    [ "$(id -u)" -eq 0 ] || skip "only root can $1"
}

# equal WHAT EXPECTED GOT
equal() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
    ok "$1: $3"
}

# at_most WHAT LIMIT GOT UNIT: whole numbers
at_most() {
    [ "$3" -le "$2" ] || fail "$1: $3 $4, at most $2 $4 are allowed"
    ok "$1: $3 $4 (at most $2)"
}

# said FILE…: the end of what a command has printed
said() {
    sed 's/^/        /' "$@" | tail -n 20 >&2
}

# expect CODE WHAT COMMAND…: the command must end with this exit code; its output is in $WORK/out and $WORK/err
expect() {
    local want=$1 what=$2 got=0
    shift 2
    "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
    if [ "$got" -ne "$want" ]; then
        said "$WORK/out" "$WORK/err"
        fail "$what: exit code $got, expected $want: $*"
    fi
    ok "$what (exit $want)"
}

# says PATTERN WHAT: what the last `expect` printed must match (extended regular expression, any case)
says() {
    if ! grep -Eiq -- "$1" "$WORK/out" "$WORK/err"; then
        said "$WORK/out" "$WORK/err"
        fail "$2: the output does not match /$1/"
    fi
    ok "$2"
}

# enough_disk GIB
enough_disk() {
    local free
    free=$(df --output=avail -B1G "$WORK" | tail -n 1 | tr -d ' ')
    [ "$free" -ge "$1" ] || fail "$1 GiB of free disk are needed at $WORK, there are $free: set E2E_DIR to a larger disk"
}

# ---- time: this machine may be busy with other things --------------------------------------------------------------

# now_ms: milliseconds of the clock
now_ms() {
    local now=${EPOCHREALTIME/[.,]/}
    echo $((now / 1000))
}

# moment: for `took`
moment() {
    local cpu=0 io=0
    if [ -r /proc/pressure/cpu ]; then
        read -r _ _ _ _ cpu </proc/pressure/cpu
        read -r _ _ _ _ io </proc/pressure/io
    fi
    echo "$(now_ms) ${cpu#total=} ${io#total=}"
}

# took MOMENT: milliseconds since then, less those in which something waited for a processor, and up to a second of those in
# which something waited for the disk: for that, it may have been to blame itself
took() {
    local then now ms cpu io
    read -ra then <<<"$1"
    read -ra now <<<"$(moment)"
    cpu=$(((now[1] - then[1]) / 1000)) io=$(((now[2] - then[2]) / 1000))
    io=$((io < 1000 ? io : 1000))
    ms=$((now[0] - then[0] - (cpu > io ? cpu : io)))
    echo $((ms > 0 ? ms : 0))
}

# moves: something else whenever a daemon of this script has logged, stored or received anything
moves() {
    { find "$WORK" -type f \( -path '*/state/*' -o -name '*.log' \) ! -name '*-shm' -printf '%p %s %T@\n' 2>/dev/null || true; } | cksum
}

# patient SECONDS COMMAND…: repeats a command until it succeeds. Gives up once nothing has moved for so long, and for a minute
# at least: a busy machine has all the time it needs, and a hang is noticed. What it printed last is in $WORK/look.
patient() {
    local silence=$(($1 > 60 ? $1 : 60)) began=$SECONDS before now
    shift
    before=$(moves)
    until "$@" >"$WORK/look" 2>&1; do
        if [ $((SECONDS - began)) -ge "$silence" ]; then
            now=$(moves)
            [ "$now" != "$before" ] || return 1
            before=$now began=$SECONDS
        fi
        sleep 0.05
    done
}

# within SECONDS WHAT COMMAND…: waits patiently until the command succeeds; WHAT says in a few words what then holds
within() {
    if ! patient "$1" "${@:3}"; then
        said "$WORK/look"
        fail "$2: not so, and nothing moves any more: ${*:3}"
    fi
    ok "$2"
}

# ---- authorities ------------------------------------------------------------------------------------------------

# r NAME ARGUMENTS…: the command line of one authority
r() {
    local name=$1
    shift
    "$BIN" --home "$WORK/$name" "$@"
}

# A UDP port of the loopback that nobody uses now.
free_port() {
    python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# new_authority NAME ID COUNTRY: a new authority in $WORK/NAME, with NAME for its alias
new_authority() {
    LISTEN[$1]=127.0.0.1:$(free_port)
    expect 0 "init $1" r "$1" init --authority "$2" --name "Central Authority of $3" --country "$3" \
        --listen "${LISTEN[$1]}" --alias "$1"
}

# start NAME: its daemon, in the background, its output in $WORK/NAME.log
start() {
    "$BIN" --home "$WORK/$1" serve >>"$WORK/$1.log" 2>&1 &
    PID[$1]=$!
}

# serves NAME: or its daemon has ended
serves() {
    r "$1" status || ! kill -0 "${PID[$1]}"
}

# wait_serving NAME [SECONDS]: until `status` ends with 0
wait_serving() {
    patient "${2:-10}" serves "$1" || { said "$WORK/look"; fail "$1 does not serve, and nothing moves any more"; }
    kill -0 "${PID[$1]}" 2>/dev/null || fail "the daemon of $1 ended by itself"
}

# peak NAME: notes and prints the most memory that its daemons ever had resident, in KiB
peak() {
    local high
    high=$(awk '/^VmHWM:/ { print $2 }' "/proc/${PID[$1]}/status")
    [ "${PEAK[$1]:-0}" -ge "$high" ] || PEAK[$1]=$high
    echo "${PEAK[$1]}"
}

# stop NAME: SIGTERM, and the daemon must end with 0 by itself
stop() {
    local code=0
    peak "$1" >/dev/null
    kill -TERM "${PID[$1]}"
    wait "${PID[$1]}" || code=$?
    unset "PID[$1]"
    equal "$1 ends after SIGTERM with" 0 "$code"
}

# kill_hard NAME: SIGKILL
kill_hard() {
    kill -KILL "${PID[$1]}"
    wait "${PID[$1]}" 2>/dev/null || true
    unset "PID[$1]"
}

fingerprint() {
    r "$1" peer card --json | jq -er .fingerprint
}

# trust NAME OTHER: NAME takes in OTHER's card and accepts it by its six words
trust() {
    expect 0 "$1 adds the card of $2" r "$1" peer add "$WORK/$2/$2.card"
    expect 0 "$1 accepts $2" r "$1" peer accept "$2" --fingerprint "$(fingerprint "$2")"
}

# two_authorities: `ie` and `de`, serving and paired
two_authorities() {
    new_authority ie mla.example.ie IE
    new_authority de bfj.example.de DE
    start ie
    start de
    wait_serving ie
    wait_serving de
    trust ie de
    trust de ie
}

# ---- people, played by accounts that every Debian system has ------------------------------------------------------

# people: they can be played, by the binary in a place that everybody can read
people() {
    as_root "act as other accounts"
    cp "$BIN" "$WORK/rogatory"
}

# may CODE ACCOUNT WHAT ARGUMENTS…: the command line of de, used by this account
may() {
    local code=$1 account=$2 what=$3
    shift 3
    [ -z "${FAKETIME:-}" ] || forget_clocks
    expect "$code" "$account: $what" runuser -u "$account" -- "$WORK/rogatory" --socket "$WORK/de/api.sock" "$@"
}

# serve NAME: its daemon, with a socket for everybody
serve() {
    start "$1"
    wait_serving "$1"
    chmod 666 "$WORK/$1/api.sock"
}

# forget_clocks: removes what libfaketime leaves behind of processes that are gone. A later process of the same number and of
# another account could not use it, and would fail.
forget_clocks() {
    local file
    for file in /dev/shm/faketime_shm_* /dev/shm/sem.faketime_sem_*; do
        [ -d "/proc/${file##*_}" ] || rm -f "$file"
    done
}

# later DAYS: from here on, everything that is started lives so many days later (earlier, below zero); `later` alone ends that
later() {
    forget_clocks
    if [ $# -eq 0 ]; then
        unset LD_PRELOAD FAKETIME DONT_FAKE_MONOTONIC
        return
    fi
    local library
    library=$(find /usr/lib -name libfaketime.so.1 2>/dev/null | head -n 1)
    [ -n "$library" ] || fail "libfaketime is not here: apt-get install faketime"
    export LD_PRELOAD=$library FAKETIME=$(printf %+d "$1")d DONT_FAKE_MONOTONIC=1
}

# confirm NAME: an operator says that the clock is right, which is days after the last run, unless a peer has said so
confirm() {
    r "$1" clock confirm >"$WORK/confirmed" 2>&1 || [ $? -eq 9 ] || fail "the clock of $1 is not confirmed: $(cat "$WORK/confirmed")"
    within 30 "$1 is sure of the time" holds "$1" .sure clock status
}

# holds NAME FILTER ARGUMENTS…: jq says `true` of what this command of NAME prints with --json. The exit code of `jq -e` would
# not do: with nothing to read, that of Debian 12 ends with 0.
holds() {
    local name=$1 filter=$2
    shift 2
    [ "$(r "$name" "$@" --json | jq -r "$filter")" = true ]
}

# ---- packages ---------------------------------------------------------------------------------------------------

# Terms of every package sent here.
# shellcheck disable=SC2054  # the comma separates purposes
TERMS=(--case IE-2026-0117 --instrument EIO --purpose prosecution,trial --retain-until 2031-12-31 --onward prohibited)

# send FROM TO PATH…: seals and prints the id; returns once the sender's daemon has it durable
send() {
    local from=$1 to=$2
    shift 2
    r "$from" package send --to "$to" "${TERMS[@]}" --json "$@" 2>>"$WORK/$from.send.err" |
        jq -ers 'map(select(.type? == "summary")) | last | .id'
}

# state NAME ID: the state of a package there; `absent` if it is not known
state() {
    r "$1" package list --json | jq -er --arg id "$2" '[.[] | select(.id == $id)] | if length == 0 then "absent"
        elif length == 1 then .[0].state else "doubled" end'
}

# comes_to NAME ID STATE: or to another one that it does not leave
comes_to() {
    local got
    got=$(state "$1" "$2")
    echo "$got"
    case $got in
        "$3" | doubled | rejected | refused | failed | expired | withdrawn | lapsed) ;;
        *) return 1 ;;
    esac
}

# wait_state NAME ID STATE [SECONDS]
wait_state() {
    patient "${4:-60}" comes_to "$1" "$2" "$3" ||
        fail "$2 at $1 is still $(cat "$WORK/look"), expected $3, and nothing moves any more: $(r "$1" transfer show "$2" --json 2>&1)"
    [ "$(cat "$WORK/look")" = "$3" ] || fail "$2 at $1 is $(cat "$WORK/look"), expected $3"
}

# transfer_bytes NAME ID FIELD: a number of `transfer show`, 0 where there is none
transfer_bytes() {
    { r "$1" transfer show "$2" --json 2>/dev/null || echo '{}'; } | jq -r --arg field "$3" '.[$field] // 0'
}

# handed_over ID FROM TO: both sides hold the same handover receipt, signed by both
handed_over() {
    local id=$1 side digests=()
    for side in "$2" "$3"; do
        digests+=("$(r "$side" receipt list --package "$id" --json |
            jq -er '[.[] | select(.kind == "handover" and .countersigned)] | map(.digest) | unique | join(" ")')")
    done
    [ -n "${digests[0]}" ] || fail "$2 has no handover receipt signed by both sides for $id"
    [ "${digests[0]}" = "${digests[1]}" ] || fail "the handover receipts of $id differ: $2 ${digests[0]}, $3 ${digests[1]}"
}

# measured COMMAND…: runs it; CLI_KIB is the most memory it had resident
measured() {
    local code=0
    python3 - "$WORK/maxrss" "$@" <<'PY' || code=$?
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL)
with open(sys.argv[1], "w") as out:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=out)
sys.exit(code)
PY
    CLI_KIB=$(cat "$WORK/maxrss")
    return "$code"
}

# bagit_valid DIR: an opened package is a BagIt bag by bagit.py
bagit_valid() {
    "$BAGIT" --validate --quiet "$1" || fail "bagit.py refuses $1"
    ok "bagit.py --validate $(basename "$1")"
}

# spoil FILE AT: changes bytes there. Four of them: one byte of something random is the right one already, once in 256 times.
spoil() {
    printf 'XXXX' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# valid_bag DIR: by bagit.py and by sha256sum
valid_bag() {
    bagit_valid "$1"
    (cd "$1" && sha256sum --quiet --strict -c manifest-sha256.txt) || fail "sha256sum refuses $1"
    ok "sha256sum -c $(basename "$1")/manifest-sha256.txt"
}

# ---- the end ----------------------------------------------------------------------------------------------------

finish() {
    local code=$? name
    trap - EXIT ERR INT TERM
    for name in "${!PID[@]}"; do
        kill -KILL "${PID[$name]}" 2>/dev/null || true
        wait "${PID[$name]}" 2>/dev/null || true
    done
    ! declare -F at_end >/dev/null || at_end # a script's own
    for name in "${MOUNTS[@]}"; do
        umount -l "$name"
    done
    if [ "$code" -eq 0 ]; then
        echo "$SCRIPT: $CHECKS checks passed"
    elif [ "$code" -ne 77 ]; then
        for name in "$WORK"/*.log "$WORK"/*.err; do
            [ ! -s "$name" ] || { echo "---- the end of $name" && tail -n 15 "$name"; } >&2
        done
        echo "$SCRIPT: failed after $CHECKS checks, load $(cut -d ' ' -f 1-3 /proc/loadavg)" >&2
    fi
    if [ "$code" -ne 0 ] && [ "$code" -ne 77 ] && [ -n "${KEEP:-}" ]; then
        echo "$SCRIPT: everything is left in $WORK" >&2
    else
        rm -rf "$WORK"
    fi
    exit "$code"
}
trap finish EXIT
trap 'echo "  $SCRIPT, line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM
