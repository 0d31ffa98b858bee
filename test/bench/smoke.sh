#!/usr/bin/env bash
# The benchmark program works: every part runs to its end, small, IDs come once, and
# figures and charts are written. Some two minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rm -rf "$root/build/bench/quick"
out=$("$root/scripts/bench" --quick 2>&1) || { printf '%s\n' "$out"; exit 1; }
fail() { printf '%s\n' "$out"; echo "not ok: $1"; exit 1; }
for part in calls clients capacity issue batches inserts index latency volume bulk wal incidents type; do
    grep -q "^== $part:" <<<"$out" || fail "no part $part"
    grep -q "^  \"$part\": {" "$root/build/bench/quick/results.json" || fail "no figures of $part"
done
grep -qE '^[0-9]+ limits, .* clock synchronized$' <<<"$out" || fail 'the state is another one'
for chart in calls clients batches inserts latency; do
    grep -q '</svg>' "$root/build/bench/quick/$chart.svg" || fail "no chart $chart"
done
echo ok
