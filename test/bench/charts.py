"""The charts, as SVG, each from the raw numbers of results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plot  # noqa: E402 - after the back end was chosen

from contestants import CACHED, IDGEN, INSTAGRAM, NEXTVAL, NOTHING, UUID  # noqa: E402

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = {IDGEN: "#0072B2", NEXTVAL: "#D55E00", CACHED: "#E69F00", NOTHING: "#7F7F7F", UUID: "#CC79A7",
           INSTAGRAM: "#56B4E9"}
OURS, OTHERS = "#0072B2", "#A6A6A6"

plot.rcParams.update({
    "svg.hashsalt": "idgen", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif",
    "figure.facecolor": "white", "axes.facecolor": "white", "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#E6E6E6", "axes.axisbelow": True, "axes.titlesize": 11, "axes.titlelocation": "left",
})


def _save(figure: Any, folder: Path, name: str) -> None:
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plot.close(figure)


def _bars(axes: Any, values: dict[str, float], ours: tuple[str, ...], text: str, label: str) -> None:
    """Horizontal bars, the least on top, each with its value."""
    names = sorted(values, key=values.get, reverse=True)
    axes.barh(names, [values[name] for name in names], color=[OURS if name in ours else OTHERS for name in names])
    for row, name in enumerate(names):
        axes.text(values[name], row, " " + text.format(values[name]), va="center")
    axes.set_xlabel(label)
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)


def calls(parts: dict[str, Any], folder: Path) -> None:
    raw = parts["calls"]["raw"]
    figure, axes = plot.subplots(figsize=(8, 3.6))
    _bars(axes, raw["median_ns"], (IDGEN,), "{:.0f}", "ns a call, the series' own cost included (log scale)")
    axes.set_xscale("log")
    axes.set_title("SELECT count(f()) FROM generate_series(1, n), one backend, 8 lanes")
    _save(figure, folder, "calls")


def clients(parts: dict[str, Any], folder: Path) -> None:
    raw = parts["clients"]["raw"]
    figure, axes = plot.subplots(figsize=(8, 4))
    counts = raw["backends"]
    ends: dict[str, float] = {}
    for name in raw["names"]:
        rates = [raw["calls"] / raw["median_ms"][f"{name}|{count}"] / 1e3 for count in counts]
        axes.plot(counts, rates, marker="o", color=COLOURS[name], linewidth=2.5 if name == IDGEN else 1.5)
        ends[name] = rates[-1]
    # Labels that would lie upon each other are moved apart.
    at = -1.0
    for name in sorted(ends, key=ends.get):
        at = max(ends[name], at + 0.06 * max(ends.values()))
        axes.annotate(name, (counts[-1], at), xytext=(6, 0), textcoords="offset points", va="center", color=COLOURS[name])
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlim(0.9, 50)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("backends at once")
    axes.set_ylabel("million calls a second, all together")
    axes.set_title("The same number of calls, shared by so many backends; 8 lanes")
    _save(figure, folder, "clients")


def batches(parts: dict[str, Any], folder: Path) -> None:
    raw = parts["batches"]["raw"]
    figure, axes = plot.subplots(figsize=(8, 4))
    colours = dict(zip(raw["names"], (OURS, "#009E73", COLOURS[NEXTVAL], COLOURS[UUID])))
    for name in raw["names"]:
        rates = [raw["median"][f"{name}|{size}"] * size for size in raw["sizes"]]
        axes.loglog(raw["sizes"], rates, marker="o", color=colours[name])
        axes.annotate(name, (raw["sizes"][-1], rates[-1]), xytext=(6, 0), textcoords="offset points", va="center",
                      color=colours[name])
    axes.set_xlim(0.8, 400_000)
    axes.set_xticks(raw["sizes"], [f"{size:,}" for size in raw["sizes"]])
    axes.set_xlabel("IDs a call")
    axes.set_ylabel("IDs a second")
    axes.set_title("One client, prepared statements, 8 lanes; of a reservation its runs are returned")
    _save(figure, folder, "batches")


def inserts(parts: dict[str, Any], folder: Path) -> None:
    figure, (left, middle, right) = plot.subplots(1, 3, figsize=(12, 3))
    raw = parts["inserts"]["raw"]
    order = sorted(raw["names"], key=lambda name: raw["median_ms"][f"INSERT||{name}"])
    ours = tuple(name for name in order if "snowflake" in name)
    for axes, way in ((left, "INSERT"), (middle, "COPY")):
        _bars(axes, {name: raw["median_ms"][f"{way}||{name}"] for name in order}, ours, "{:.0f}", "ms")
        axes.set_title(f"{way} of 1 M rows, primary key")
    _bars(right, parts["index"]["raw"]["mb"], ours, "{:.0f}", "MB")
    right.set_title("its index after 5 M rows")
    _save(figure, folder, "inserts")


def latency(parts: dict[str, Any], folder: Path) -> None:
    raw = parts["latency"]["raw"]
    events = {name: made for name, made in parts["incidents"]["raw"]["events"].items() if "nothing" not in name}
    figure = plot.figure(figsize=(11, 3 + 1.5 * len(events)))
    grid = figure.add_gridspec(1 + len(events), 2, height_ratios=[2.4] + [1] * len(events))
    keys = ("p50", "p99", "p99.9")
    for column, load in enumerate(raw["loads"]):
        axes = figure.add_subplot(grid[0, column])
        for name in raw["names"]:
            latencies = raw["shown"][f"{name}|{load}"]["latency_ms"]
            axes.plot(keys, [latencies[key] for key in keys], marker="o", color=COLOURS[name], label=name)
        axes.set_yscale("log")
        axes.set_ylabel("ms")
        axes.set_title(f"single calls, 4 clients, {load}")
        if column == 0:
            axes.legend(frameon=False, fontsize=9)
    for row, (name, made) in enumerate(events.items(), start=1):
        axes = figure.add_subplot(grid[row, :])
        shown = [(at, most) for at, most, _ in made["timeline"] if most is not None]
        axes.plot([at for at, _ in shown], [most for _, most in shown], color=OURS, linewidth=1)
        failing = [at for at, _, failed in made["timeline"] if failed]
        if failing:
            axes.axvspan(failing[0], failing[-1], color="#D55E00", alpha=0.2, linewidth=0)
            axes.text((failing[0] + failing[-1]) / 2, 0.9, "calls fail, at once", ha="center", va="top",
                      transform=axes.get_xaxis_transform(), color="#A04000")
        axes.axvline(0, color="#555555", linewidth=1, linestyle="--")
        axes.set_yscale("log")
        axes.set_ylim(0.03, 2000)
        axes.set_yticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1000"])
        axes.set_ylabel("ms")
        axes.set_title(f"at 0 s: {name}; the slowest call of each 50 ms")
    axes.set_xlabel("seconds")
    _save(figure, folder, "latency")


CHARTS = {calls: ("calls",), clients: ("clients",), batches: ("batches",), inserts: ("inserts", "index"),
          latency: ("latency", "incidents")}


def draw(results: dict[str, Any], folder: Path) -> list[str]:
    """Draws those whose parts have been measured; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = results.get("parts", {})
    drawn = []
    for chart, needed in CHARTS.items():
        if all(name in parts for name in needed):
            chart(parts, folder)
            drawn.append(chart.__name__)
    return drawn
