#!/usr/bin/env bash
# limit: 60 s
# The test vectors of docs/protocol/vectors/, checked without any code of rogatory: Python's standard library and openssl.
set -Eeuo pipefail
exec </dev/null
export LC_ALL=C.UTF-8

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
command -v openssl >/dev/null || { echo "05-vectors: openssl is missing" >&2; exit 1; }
exec python3 -B "$ROOT/tests/check_vectors.py" "$ROOT/docs/protocol/vectors"
