"""The benchmark program: what idgen costs next to its peers. Started by scripts/bench."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time

import part_batches
import part_calls
import part_incidents
import part_inserts
import part_latency
import part_type
import part_volume
import publish
from measure import busy_cores
from report import QUICK_RESULTS, RESULTS, TOO_MANY, Part, save_results
from run import Run
from servers import PG_BIN, Fleet, NotSynchronized

PARTS = {
    "calls": part_calls.calls,
    "clients": part_calls.clients,
    "capacity": part_calls.capacity,
    "issue": part_calls.issue,
    "batches": part_batches.batches,
    "inserts": part_inserts.inserts,
    "index": part_inserts.index,
    "latency": part_latency.latency,
    "volume": part_volume.volume,
    "bulk": part_volume.bulk,
    "wal": part_volume.wal,
    "incidents": part_incidents.incidents,
    "type": part_type.type_,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="What idgen costs next to its peers, as ratios in one run.",
        epilog="parts: " + ", ".join(f"{name}: {(part.__doc__ or '').splitlines()[0]}" for name, part in PARTS.items()))
    parser.add_argument("parts", nargs="*", metavar="part", help="all, unless some are named")
    parser.add_argument("--rounds", type=int, help="interleaved rounds of each comparison")
    parser.add_argument("--quick", action="store_true",
                        help="a small run that shows that the program works; its figures mean nothing, and only errors count")
    parser.add_argument("--publish", action="store_true",
                        help="write charts and tables of the last results to docs/; without parts it measures nothing")
    parser.add_argument("--quiet", type=float, default=0, metavar="SECONDS",
                        help="before each part wait, so long at most, until nothing else keeps the machine busy")
    options = parser.parse_args()
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if options.publish and options.quick:
        parser.error("figures of --quick are not to be published")
    return options


def quiet(seconds: float) -> float:
    """Waits, so long at most, until others leave the machine alone; the cores they keep busy."""
    deadline = time.monotonic() + seconds
    while (busy := busy_cores(2)) > 0.1 and time.monotonic() < deadline:
        pass
    return busy


def measure(options: argparse.Namespace) -> bool:
    """Runs the parts; whether every limit is met."""
    run = Run(Fleet(), options.quick, options.rounds)
    postgresql = subprocess.run([str(PG_BIN / "postgres"), "--version"], capture_output=True, text=True).stdout.split()[2]
    command = " ".join(["scripts/bench", *(argument for argument in sys.argv[1:] if argument != "--publish")])
    done: list[Part] = []
    try:
        for name in options.parts or PARTS:
            part = Part(name)
            print(f"\n== {name}: {(PARTS[name].__doc__ or '').splitlines()[0]}", flush=True)
            part.others.append(quiet(options.quiet))
            begin = time.monotonic()
            PARTS[name](run, part)
            run.fleet.stop_instances()
            part.others.append(busy_cores())
            print(f"  {time.monotonic() - begin:.0f} s; others kept {part.others[0]:.2f} cores busy before, "
                  f"{part.others[1]:.2f} after", flush=True)
            done.append(part)
            save_results(QUICK_RESULTS if options.quick else RESULTS, [part], postgresql, command)
    finally:
        run.fleet.stop()
    lines = [(part.name, made) for part in done for made in part.comparisons if made.limit is not None]
    missed = [made for _, made in lines if not made.met]
    states = sorted({state for part in done for state in part.clock_states})
    print(f"\n{len(lines)} limits, {len(missed)} missed; PostgreSQL {postgresql}, clock {', '.join(states)}")
    for made in missed:
        print(made.line())
    # IDs that come twice are wrong however small the run.
    return not [made for made in missed if made.missed == TOO_MANY or not options.quick]


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    try:
        met = measure(options) if options.parts or not options.publish else True
    except NotSynchronized as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2
    publish.draw(QUICK_RESULTS if options.quick else RESULTS)
    if options.publish:
        publish.publish()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
