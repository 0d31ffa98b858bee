"""How long single calls take while something goes wrong."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from load import Collector
from measure import summary
from report import TOO_MANY, Part
from run import Run
from servers import Instance, end_worker

RATE = 4_000  # calls a second, of 4 clients together, evenly
QUIET = 4.0  # seconds before it happens
AFTER = 8.0  # and from then on
BUCKET_MS = 50


def _observe(run: Run, instance: Instance, event: Callable[[], None]) -> dict[str, Any]:
    """Calls at a fixed rate, in the midst of which the event happens; ms and seconds."""
    quiet, after = run.seconds(QUIET), run.seconds(AFTER)
    with tempfile.TemporaryDirectory(prefix="idgen-bench-") as folder:
        path = Path(folder) / "latencies"
        load = Collector(instance, "--clients", "4", "--rate", str(RATE), "--seconds", str(quiet + after + 0.5),
                         "--ids", "1000000000", "--batches", "1", "--retry", "--tolerate", "IDG01",
                         "--tolerate", "IDG03", "--latencies", str(path))
        time.sleep(quiet + 0.5)
        at = time.monotonic_ns()
        event()
        collected = load.finish()
        calls = numpy.fromfile(path, dtype=numpy.int64).reshape(-1, 2)
    # The half second in which sessions start is left out.
    seconds = (calls[:, 0] - at) / 1e9
    ms = numpy.abs(calls[:, 1]) / 1e6
    failed = calls[:, 1] < 0
    before = (seconds >= -quiet) & (seconds < 0)
    during = (seconds >= 0) & (seconds < after)
    starts = numpy.arange(-quiet, after, BUCKET_MS / 1e3)
    timeline = []
    for start in starts:
        inside = (seconds >= start) & (seconds < start + BUCKET_MS / 1e3)
        timeline.append([round(float(start), 3), float(ms[inside].max()) if inside.any() else None, int(failed[inside].sum())])
    failures = seconds[failed & during]
    return {
        "before": summary(ms[before & ~failed].tolist()),
        "during": summary(ms[during & ~failed].tolist()),
        "failed": int(failed.sum()),
        "failed_from_to_s": [float(failures.min()), float(failures.max())] if failures.size else None,
        "timeline": timeline,
        "repeats": collected.repeats, "inversions": collected.inversions,
    }


def _outage(run: Run, seconds: float) -> None:
    """The coordinator stops at once, without a word to its clients, and comes back."""
    coordinator = run.fleet.coordinator
    assert coordinator is not None
    begin = time.monotonic()
    coordinator.stop("immediate")
    time.sleep(max(0.0, seconds - (time.monotonic() - begin)))
    coordinator.start()


def incidents(run: Run, part: Part) -> None:
    """Latency while the clock steps, the worker restarts, the registry is out."""
    fleet = run.instance(part, "incidents", 8)
    faked = run.faked(part, "faked")
    if not run.quick:
        # A window is a tenth of the time since the start, until that is 3 s.
        time.sleep(max(0.0, 32 - fleet.value(
            "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float")))
    starts = "SELECT starts FROM snowflake_worker_stats"
    failures = "SELECT failures FROM snowflake_worker_stats"
    steps = "SELECT count(*) FROM snowflake_clock_events"
    # What happens, to whom, and what shows that it did, as it grows.
    events: list[tuple[str, Instance, Callable[[], None], str]] = [
        ("nothing happens", fleet, lambda: None, ""),
        ("the worker restarts", fleet, lambda: end_worker(fleet), starts),
        ("the registry is out for 1 s", fleet, lambda: _outage(run, 1), failures),
        ("the registry is out for 5 s", fleet, lambda: _outage(run, run.seconds(5)), failures),
        ("nothing happens (faked clock)", faked, lambda: None, ""),
        ("the clock steps 5 s ahead (faked clock)", faked, lambda: faked.step_clock(5), steps),
        ("the clock steps 5 s back (faked clock)", faked, lambda: faked.step_clock(0), steps),
    ]
    raw: dict[str, Any] = {}
    rows = []
    for name, instance, event, evidence in events:
        instance.require_synchronized(90)
        before = instance.value(evidence) if evidence else 0
        made = raw[name] = _observe(run, instance, event)
        if evidence and instance.value(evidence) <= before:
            raise RuntimeError(f"nobody noticed that {name}: {evidence}")
        rows.append([name, *(made[when][key] for when in ("before", "during") for key in ("p50", "p99", "p99.9", "max")),
                     made["failed"]])
    part.raw = {"rate": RATE, "quiet_s": QUIET, "after_s": AFTER, "bucket_ms": BUCKET_MS, "events": raw}
    part.say(f"{RATE} single calls a second by 4 clients, ms: the {QUIET:.0f} s before, and the {AFTER:.0f} s from then on")
    part.table(["", *(f"{key} {when}" for when in ("before", "after") for key in ("p50", "p99", "p99.9", "max")), "failed"], rows)
    for name, made in raw.items():
        if name != "nothing happens":
            part.compare(f"p99 of calls that succeeded, {name}", made["during"]["p99"], "the seconds before", made["before"]["p99"], "ms")
    long_outage = raw["the registry is out for 5 s"]
    if long_outage["failed_from_to_s"]:
        first, last = long_outage["failed_from_to_s"]
        part.say(f"in the outage of 5 s calls failed, at once, from {first:.2f} s to {last:.2f} s after it began")
    part.bound("calls that failed, but for the outage of 5 s",
               sum(made["failed"] for name, made in raw.items() if name != "the registry is out for 5 s"), 0, "calls", "FAILED")
    part.bound("repeats and inversions in all of them",
               sum(made["repeats"] + made["inversions"] for made in raw.values()), 0, "IDs", TOO_MANY)
