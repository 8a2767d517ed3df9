#!/usr/bin/env bash
# limit: 120 s
# runs beside the others
# A daemon that answers ends in order when it is asked to, however soon: no signal finds it without ears.
#
#   ROUNDS   how many starts [default: 20]
source "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-20}

# answers: whether the daemon of de answers a call
answers() {
    python3 - "$WORK/de/api.sock" <<'PY'
import socket, sys, time
until = time.monotonic() + 10
while time.monotonic() < until:
    try:
        with socket.socket(socket.AF_UNIX) as call:
            call.connect(sys.argv[1])
            call.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if call.recv(12) == b"HTTP/1.1 200":
                sys.exit(0)
    except OSError:
        pass
sys.exit(1)
PY
}

two_authorities
stop de
for ((n = 0; n < ROUNDS; n++)); do
    start de
    answers || fail "de does not answer"
    code=0
    kill -TERM "${PID[de]}"
    wait "${PID[de]}" || code=$?
    [ "$code" -eq 0 ] || fail "start $n: SIGTERM ends it with $code"
done
unset "PID[de]"
ok "$ROUNDS starts, each ended with 0 as soon as it answered"
stop ie
