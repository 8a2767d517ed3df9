#!/usr/bin/env bash
# Every parser of what outsiders send, under libFuzzer, 10 seconds each from the kept corpus; see fuzz/run.
# limit: 1800 s
# runs beside the others
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../../fuzz/run" "${FUZZ_SECONDS:-10}"
