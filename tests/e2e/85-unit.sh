#!/usr/bin/env bash
# limit: 240 s
# runs beside the others
# The daemon as systemd runs it, without systemd: units judged by systemd-analyze; the UDP socket handed over by
# systemd-socket-activate to a daemon in an empty network namespace, the fetcher outside; a false supervisor that
# writes down what it is told; the sandbox tried from inside.
source "$(dirname "$0")/lib.sh"
as_root "make network namespaces"

# PrivateUsers= would take 0.2 away, and would take from everybody who calls the number of his account.
EXPOSURE_TENTHS_MAX=6

# ---- the units ------------------------------------------------------------------------------------------------

mkdir "$WORK/units"
for unit in "$ROOT"/systemd/*.service "$ROOT"/systemd/*.socket; do
    sed "s#/usr/bin/rogatory#$BIN#" "$unit" >"$WORK/units/${unit##*/}"
done
expect 0 "systemd-analyze verify" systemd-analyze verify "$WORK"/units/*.service "$WORK"/units/*.socket
equal "what it has to say" "" "$(cat "$WORK/out" "$WORK/err")"
expect 0 "systemd-analyze security of the daemon, threshold 0.$EXPOSURE_TENTHS_MAX" \
    systemd-analyze security --offline=true --no-pager --threshold=$EXPOSURE_TENTHS_MAX "$WORK/units/rogatoryd.service"
ok "$(grep -ao 'Overall exposure.*: [0-9.]*' "$WORK/out")"
expect 0 "systemd-analyze security of the fetcher, threshold 1.5" \
    systemd-analyze security --offline=true --no-pager --threshold=15 "$WORK/units/rogatory-fetcher.service"
ok "$(grep -ao 'Overall exposure.*: [0-9.]*' "$WORK/out")"

# ---- what is handed over ----------------------------------------------------------------------------------------

cat >"$WORK/hand.py" <<'PY'
# hand.py NAME=KIND:ADDRESS… -- COMMAND…: opens these sockets and runs the command with them, as a supervisor does.
import os, socket, sys
at = sys.argv.index("--")
opened = []
for wish in sys.argv[1:at]:
    name, rest = wish.split("=", 1)
    kind, address = rest.split(":", 1)
    if kind == "unix":
        it = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        it.bind(address)
        it.listen()
    else:
        host, port = address.rsplit(":", 1)
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        it.bind((host, int(port)))
        if kind == "tcp":
            it.listen()
    opened.append((name, os.dup(it.fileno())))
high = [os.dup2(fd, 100 + n) for n, (_, fd) in enumerate(opened)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
os.closerange(3 + len(high), 200)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()),
                  LISTEN_FDNAMES=":".join(name for name, _ in opened))
os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
PY

# The supervisor: writes down each message, with the milliseconds of the clock.
cat >"$WORK/supervisor.py" <<'PY'
import socket, sys, time
inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
inbox.bind(sys.argv[1])
with open(sys.argv[2], "a", buffering=1) as log:
    while True:
        for line in inbox.recv(65536).decode().split("\n"):
            if line:
                print(int(time.time() * 1000), line, file=log)
PY
touch "$WORK/told"
python3 "$WORK/supervisor.py" "$WORK/notify" "$WORK/told" &
PID[supervisor]=$!

# told PATTERN: until the supervisor was told a line that matches
told() {
    patient 10 grep -qE "^[0-9]+ $1" "$WORK/told" || fail "the supervisor was not told $1, but $(tail -n 3 "$WORK/told" | xargs)"
    ok "the supervisor was told: $(grep -E "^[0-9]+ $1" "$WORK/told" | tail -n 1 | cut -d ' ' -f 2-)"
}

# ie is an authority as ever, and its card names a host; de will have no network.
LISTEN[ie]=127.0.0.1:$(free_port)
expect 0 "init ie" r ie init --authority mla.example.ie --name "Central Authority of IE" --country IE \
    --listen "${LISTEN[ie]}" --alias ie --endpoint "localhost:${LISTEN[ie]##*:}"
new_authority de bfj.example.de DE

expect 1 "a TCP socket instead of a UDP socket" \
    python3 "$WORK/hand.py" "quic=tcp:${LISTEN[de]}" -- "$BIN" --home "$WORK/de" serve
says 'not a UDP socket|not a valid udp socket' "what is wrong is named"
expect 1 "a UDP socket where the API's should be" \
    python3 "$WORK/hand.py" "api=udp:${LISTEN[de]}" -- "$BIN" --home "$WORK/de" serve
says 'ListenStream=' "what is wanted is named"
expect 1 "a UDP socket with another port" \
    python3 "$WORK/hand.py" "quic=udp:127.0.0.1:$(free_port)" -- "$BIN" --home "$WORK/de" serve
says "${LISTEN[de]}" "both addresses are named"
says 'ListenDatagram=' "and where to correct it"
expect 1 "two UDP sockets" python3 "$WORK/hand.py" "a=udp:${LISTEN[de]}" "b=udp:127.0.0.1:$(free_port)" -- \
    "$BIN" --home "$WORK/de" serve

# ---- the fetcher ------------------------------------------------------------------------------------------------

# fetcher ARGUMENTS…: starts it, in place of the one before
fetcher() {
    if [ -n "${PID[fetcher]:-}" ]; then stop fetcher; fi
    NOTIFY_SOCKET= "$BIN" fetcher --listen "$WORK/fetcher.sock" "$@" >>"$WORK/fetcher.log" 2>&1 &
    PID[fetcher]=$!
    # One that listens, and not what an earlier one has left.
    patient 10 grep -q "00010000 .* $WORK/fetcher.sock\$" /proc/net/unix || fail "the fetcher does not start"
}
expect 2 "a fetcher without a socket" "$BIN" fetcher
fetcher

# ---- a daemon without a network ---------------------------------------------------------------------------------

start ie
wait_serving ie
env -i PATH="$PATH" systemd-socket-activate --datagram --listen="${LISTEN[de]}" --fdname=quic \
    -E NOTIFY_SOCKET="$WORK/notify" -E WATCHDOG_USEC=4000000 -E ROGATORY__FETCHER__SOCKET="$WORK/fetcher.sock" \
    unshare --net "$BIN" --home "$WORK/de" serve >>"$WORK/de.log" 2>&1 &
PID[de]=$!
patient 10 grep -q "$(printf '0100007F:%04X ' "${LISTEN[de]##*:}")" /proc/net/udp || fail "nobody listens for de"
expect 10 "nothing runs before the first datagram" r de status
echo . >"/dev/udp/${LISTEN[de]%:*}/${LISTEN[de]##*:}"
wait_serving de
told 'READY=1'
told 'STATUS=serving bfj.example.de on 127'
[ "$(readlink "/proc/${PID[de]}/ns/net")" != "$(readlink /proc/self/ns/net)" ] || fail "de is in our network namespace"
equal "interfaces that are up in the namespace of de" 0 \
    "$(nsenter --net="/proc/${PID[de]}/ns/net" cat /proc/net/route | tail -n +2 | wc -l)"
equal "UDP sockets in the namespace of de" 0 "$(tail -n +2 "/proc/${PID[de]}/net/udp" | wc -l)"
equal "the socket that de serves on" "${LISTEN[de]}" "$(r de status --json | jq -r .listen)"

trust ie de
trust de ie
expect 0 "de dials ie by name" r de peer ping ie
expect 0 "ie dials de" r ie peer ping de
mkdir "$WORK/files"
head -c 3000000 /dev/urandom >"$WORK/files/large"
echo small >"$WORK/files/small"
id=$(send ie de "$WORK/files")
wait_state ie "$id" closed
handed_over "$id" ie de
ok "a package from ie to de"
id=$(send de ie "$WORK/files")
wait_state de "$id" closed
handed_over "$id" de ie
ok "a package from de to ie"
expect 0 "ie opens it" r ie package open "$id" --purpose prosecution --justification "x" --out "$WORK/opened"
cmp "$WORK/files/large" "$(find "$WORK/opened" -name large)"
ok "and has what was sent"

# ---- what the daemon may not do -----------------------------------------------------------------------------------

field() { awk -v key="$1:" '$1 == key { print $2 }' "$2"; }
for name in ie de fetcher; do
    for task in "/proc/${PID[$name]}/task"/*/status; do
        [ "$(field NoNewPrivs "$task") $(field Seccomp "$task")" = "1 2" ] || fail "$task of $name is not confined"
    done
    ok "NoNewPrivs 1, Seccomp 2, $(field Seccomp_filters "/proc/${PID[$name]}/status") filters on every thread of $name"
done
for name in ie de; do
    equal "sandbox of $name" "ok ok" "$(r "$name" status --json | jq -r '.sandbox | "\(.landlock) \(.seccomp)"')"
done
expect 0 "check sandbox without a network" env ROGATORY__FETCHER__SOCKET="$WORK/fetcher.sock" "$BIN" --home "$WORK/de" check sandbox --json
equal "what it tried and found refused" \
    "run a program,start a process,read /etc/passwd,write outside the state,write the configuration,write the keys,connect by TCP,listen by TCP,change the root,signal the parent,open another UDP socket" \
    "$(jq -r '[.tried[] | select(.found == "refused") | .what] | join(",")' "$WORK/out")"
expect 0 "check sandbox with names resolved by the daemon itself" r ie check sandbox

# ---- alive ------------------------------------------------------------------------------------------------------

# pings FROM_MS TO_MS: how often the watchdog was fed in between
pings() { awk -v from="$1" -v to="$2" '$1 >= from && $1 < to && $2 == "WATCHDOG=1"' "$WORK/told" | wc -l; }
# are_fed SINCE COUNT: at least so often since then
are_fed() { [ "$(pings "$1" "$(now_ms)")" -ge "$2" ]; }
within 10 "the watchdog is fed, again and again" are_fed "$(now_ms)" 3
# The ledger's writer cannot answer while another program holds the ledger: then nothing is said.
read -r held released < <(python3 - "$WORK/de/state" <<'PY'
import sqlite3, sys, time
ledger = sqlite3.connect(sys.argv[1] + "/ledger.db", isolation_level=None, timeout=60)
ledger.execute("BEGIN IMMEDIATE")
held = time.time()
time.sleep(8)
released = time.time()
ledger.execute("ROLLBACK")
print(int(held * 1000), int(released * 1000))
PY
)
equal "fed while the ledger cannot be written" 0 "$(pings $((held + 2500)) "$released")"
within 10 "and fed again afterwards" are_fed "$released" 1

# ---- reload ------------------------------------------------------------------------------------------------------

: >"$WORK/told"
kill -HUP "${PID[de]}"
told 'RELOADING=1'
told 'MONOTONIC_USEC=[0-9]+'
told 'READY=1'
told 'STATUS=serving bfj.example.de on 127'
: >"$WORK/told"
cp "$WORK/de/rogatory.toml" "$WORK/good.toml"
echo 'nonsense = 1' >>"$WORK/de/rogatory.toml"
kill -HUP "${PID[de]}"
told 'STATUS=.*nothing was reloaded'
cp "$WORK/good.toml" "$WORK/de/rogatory.toml"
expect 0 "a faulty configuration changes nothing" r de peer ping ie

# ---- names that cannot be resolved are not peers that cannot be reached -------------------------------------------

fetcher --allow other.example
expect 5 "a host that the fetcher may not resolve" r de peer ping ie --json
equal "its code" fetcher-failed "$(jq -r .error "$WORK/err")"
says 'name resolution failed.*name-refused' "name and cause"
fetcher --caller 12345
expect 5 "a caller that the fetcher does not know" r de peer ping ie
says 'name resolution failed.*caller-refused' "name and cause"
stop fetcher
expect 5 "no fetcher" r de peer ping ie
says 'name resolution failed.*rogatory-fetcher' "what to look at"
fetcher
expect 0 "the fetcher is back" r de peer ping ie
stop ie
expect 5 "no peer" r de peer ping ie --json
equal "its code" unreachable "$(jq -r .error "$WORK/err")"
stop fetcher

: >"$WORK/told"
stop de
told 'STOPPING=1'

# ---- both sockets handed over -------------------------------------------------------------------------------------

rm -f "$WORK/de/api.sock"
python3 "$WORK/hand.py" "quic=udp:${LISTEN[de]}" "api=unix:$WORK/de/api.sock" -- \
    unshare --net "$BIN" --home "$WORK/de" serve >>"$WORK/de.log" 2>&1 &
PID[de]=$!
wait_serving de
ok "serving on both"
stop de
