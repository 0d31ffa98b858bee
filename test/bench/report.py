"""What a run found: comparisons with limits, tables in text, raw numbers in JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from servers import ROOT

RESULTS = ROOT / "build/bench/results.json"
QUICK_RESULTS = ROOT / "build/bench/quick/results.json"
TOO_MANY = "TOO MANY"  # of what there must be none, or hardly any: an error, no figure


@dataclass
class Comparison:
    """One line: a value next to a peer's, or next to what is wanted of it."""

    name: str
    value: float
    peer: str
    peer_value: float
    unit: str
    limit: float | None  # of the ratio; None: nothing is wanted
    at_least: bool = False
    missed: str = "TOO SLOW"

    @property
    def ratio(self) -> float:
        return self.value / self.peer_value if self.peer_value else (0.0 if self.value == 0 else float("inf"))

    @property
    def met(self) -> bool:
        if self.limit is None:
            return True
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "OK" if self.met else ("TOO FEW" if self.at_least else self.missed)

    @property
    def wanted(self) -> str:
        if self.limit is None:
            return ""
        return f"{'at least' if self.at_least else 'at most'} {self.limit:.2f}"

    def line(self) -> str:
        return (f"{self.name:<58} {number(self.value):>11} {self.unit:<9} {self.peer:<30} "
                f"{number(self.peer_value):>11} {self.ratio:7.3f}  {self.wanted:<14} {self.verdict}")


def number(value: float) -> str:
    """Four significant digits at least, without an exponent."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


@dataclass
class Part:
    """What one part of the run found. `raw` is what charts and tables are made of."""

    name: str
    comparisons: list[Comparison] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)
    clock_states: list[str] = field(default_factory=list)
    others: list[float] = field(default_factory=list)  # cores that others keep busy: before, after

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def compare(self, name: str, value: float, peer: str, peer_value: float, unit: str,
                limit: float | None = None, *, at_least: bool = False, missed: str = "TOO SLOW") -> None:
        made = Comparison(name, value, peer, peer_value, unit, limit, at_least, missed)
        self.comparisons.append(made)
        self.say(made.line())

    def bound(self, name: str, value: float, most: float, unit: str, missed: str = "TOO SLOW") -> None:
        """The value must be at most so much."""
        self.compare(name, value, "wanted, at most", most, unit, 1.0, missed=missed)

    def table(self, head: list[str], rows: list[list[Any]]) -> None:
        texts = [head] + [[number(cell) if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
        for row in texts:
            self.say("  " + "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths))))

    @property
    def met(self) -> bool:
        return all(comparison.met for comparison in self.comparisons)


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names the machine."""
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(kib / 1024**2),
            "architecture": platform.machine(), "kernel": platform.release()}


def commit() -> str:
    try:
        out = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return out.stdout.strip() or "unknown"


def load_results(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def save_results(path: Path, parts: list[Part], postgresql: str, command: str) -> None:
    """Writes these parts; those of earlier runs, with the date of each, are kept, unless
    they are of another machine or server."""
    results = load_results(path)
    made_with = {"machine": machine(), "postgresql": postgresql}
    if any(results.get(key) != value for key, value in made_with.items()):
        results = made_with
    kept = results.setdefault("parts", {})
    for part in parts:
        kept[part.name] = {
            "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit(),
            "command": command,
            "clock_states": part.clock_states,
            "cores_busy_with_others": part.others,
            "settings": part.settings,
            "comparisons": [asdict(made) | {"ratio": made.ratio, "verdict": made.verdict} for made in part.comparisons],
            "raw": part.raw,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
