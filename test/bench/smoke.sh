#!/usr/bin/env bash
# The benchmark program works: every part runs, small, and its lines are there.
set -euo pipefail
out=$("$(dirname "$0")/../../scripts/bench" --quick 2>&1) || { printf '%s\n' "$out"; exit 1; }
for part in calls clients capacity issue batches inserts index latency volume bulk wal incidents type; do
    grep -q "^== $part:" <<<"$out" || { printf '%s\n' "$out"; echo "not ok: no part $part"; exit 1; }
done
grep -q 'all in the state synchronized$' <<<"$out" || { printf '%s\n' "$out"; echo 'not ok: no state'; exit 1; }
echo ok
