"""Brings what was measured into the docs: charts, raw numbers, tables."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import charts
from report import RESULTS, load_results, number
from servers import ROOT

PAGE = ROOT / "docs/benchmarks.md"
FOLDER = ROOT / "docs/bench"


def draw(path: Path) -> None:
    """The charts of these results, beside them."""
    drawn = charts.draw(load_results(path), path.parent)
    shown = path.parent.relative_to(ROOT)
    print(f"{shown}: results.json" + "".join(f", {name}.svg" for name in drawn))


def publish() -> None:
    """Copies the charts and the numbers, and writes the page's tables between its marks."""
    results = load_results(RESULTS)
    unknown = [name for name, part in results["parts"].items() if part["commit"].endswith("-dirty")]
    if unknown:
        raise SystemExit(f"not published: measured with changes that were not committed: {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for chart in sorted(RESULTS.parent.glob("*.svg")):
        shutil.copyfile(chart, FOLDER / chart.name)
    (FOLDER / "results.json").write_text(json.dumps(results, separators=(",", ":")) + "\n")
    page = PAGE.read_text()
    for mark, text in (("run", _run(results)), ("limits", _limits(results))):
        page, found = re.subn(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda match: match[1] + text + match[2], page,
                              flags=re.DOTALL)
        if found != 1:
            raise RuntimeError(f"{PAGE.name} has no place for {mark}")
    PAGE.write_text(page)
    print("written: docs/benchmarks.md, docs/bench")


def _run(results: dict[str, Any]) -> str:
    machine = results["machine"]
    parts = results["parts"].values()
    commits = sorted({part["commit"] for part in parts})
    days = sorted({part["at"][:10] for part in parts})
    commands = list(dict.fromkeys(part["command"] for part in parts))
    states = sorted({state for part in parts for state in part["clock_states"]})
    others = max(busy for part in parts for busy in part["cores_busy_with_others"])
    warning = "" if others <= 0.1 else (
        f"**Others used the machine meanwhile** (up to {others:.1f} of its {machine['cores']} cores, before and after "
        "parts): ratios are rough, and latencies are mostly those of waiting for a core; compare them with the lines "
        "that have nothing of idgen. To be measured again on a machine that does nothing else.\n\n")
    if len(commands) > 1:
        warning += ("**Not one run**: parts were measured by themselves, with more or fewer rounds, and a part that was "
                    "measured again shows its last run alone, whatever the earlier ones were.\n\n")
    return ("\n" + warning + f"Measured {' and '.join(days)} at {', '.join(commits)}, PostgreSQL {results['postgresql']}, "
            f"{machine['cores']} cores ({machine['cpu']}, {machine['architecture']}), {machine['memory_gib']} GiB, "
            f"clock {', '.join(states)}, by\n\n```sh\n" + "\n".join(commands)
            + "\nscripts/bench --publish\n```\n\n")


def _limits(results: dict[str, Any]) -> str:
    lines = ["", "| | value | next to | | ratio | wanted | |", "|---|--:|---|--:|--:|---|---|"]
    for part in results["parts"].values():
        for made in part["comparisons"]:
            if made["limit"] is None:
                continue
            wanted = f"at {'least' if made['at_least'] else 'most'} {made['limit']:.2f}"
            verdict = made["verdict"] if made["verdict"] == "OK" else f"**{made['verdict'].lower()}**"
            lines.append(f"| {made['name']} | {number(made['value'])} {made['unit']} | {made['peer']} "
                         f"| {number(made['peer_value'])} | {made['ratio']:.2f} | {wanted} | {verdict} |")
    return "\n".join(lines) + "\n\n"
