"""Draw the results: what a GB costs (case A), and how seconds grow (case F).

    python -m tests.benchmarks.chart [--results build/benchmark/results.json] CHART.svg

The same results give the same file, to the byte.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks import results
from tests.benchmarks.cases import a_rewrite, f_growth
from tests.benchmarks.results import Run, Runs, Spread

OURS, OTHERS, LIMIT = "#0b6e4f", "#9aa5b1", "#d9a441"
INK = "#1f2933"
LINES = ("#0b6e4f", "#4caf7d", "#1f6feb", "#7fb3ff", "#9aa5b1", "#d9a441", "#c2410c")
STYLE = {
    "svg.hashsalt": "dedup-lib",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("build/benchmark/results.json"))
    parser.add_argument("chart", type=Path, help="the SVG to write")
    options = parser.parse_args(arguments)
    cases = results.load(options.results)
    with mpl.rc_context(STYLE):
        figure = draw(cases.get("A", Runs([])), cases.get("F", Runs([])))
        # White behind it, so that people can also read it on a dark page.
        figure.savefig(
            options.chart, format="svg", facecolor="white", metadata={"Date": None, "Creator": None}
        )


def draw(rewrite: Runs, growth: Runs) -> Figure:
    """Return a figure of three panels."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    bars, by_bytes, by_list = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    draw_bars(bars, rewrite)
    names = [f_growth.of_bytes(times) for times in f_growth.BYTES]
    draw_curves(by_bytes, growth, names, lambda run: run.input_bytes / 1e9)
    by_bytes.set(title="Seconds by the size of the table", xlabel="GB of images")
    names = [f_growth.of_entries(times) for times in f_growth.ENTRIES]
    draw_curves(by_list, growth, names, lambda run: run.list_rows / 1e6)
    by_list.set(title="Seconds by the length of the list", xlabel="million IDs listed")
    lines = by_bytes.get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower right", ncols=4, frameon=False, fontsize=8)
    return figure


def draw_bars(axes: Axes, runs: Runs) -> None:
    """Draw seconds per GB, the least at the top; whiskers are least and most."""
    slopes = {
        name: Spread.of(values.values())
        for name in runs.contenders(a_rewrite.FOUR_TIMES)
        if (values := a_rewrite.slopes(runs, name))
    }
    names = sorted(slopes, key=lambda name: slopes[name].median, reverse=True)
    medians = [slopes[name].median for name in names]
    whiskers = [
        [slopes[name].median - slopes[name].least for name in names],
        [slopes[name].most - slopes[name].median for name in names],
    ]
    axes.barh(names, medians, xerr=whiskers, color=[_color(name) for name in names], ecolor=INK)
    for row, name in enumerate(names):
        axes.annotate(
            f"{slopes[name].median:.2f}",
            (slopes[name].most, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    axes.margins(x=0.15)
    axes.set(title="Rewriting a table: seconds per GB", xlabel="s per GB of input, sync included")


def draw_curves(
    axes: Axes, runs: Runs, workloads: Sequence[str], size: Callable[[Run], float]
) -> None:
    """Draw medians over a size; bars are least and most."""
    for contender, color in zip(f_growth.CONTENDERS, LINES, strict=True):
        found = [found for name in workloads if (found := runs.of(name, contender.name))]
        if not found:
            continue
        seconds = [Spread.of(run.wall_seconds for run in each) for each in found]
        axes.errorbar(
            [size(each[0]) for each in found],
            [each.median for each in seconds],
            yerr=[
                [each.median - each.least for each in seconds],
                [each.most - each.median for each in seconds],
            ],
            color=color,
            label=contender.name,
            marker="o",
            markersize=4,
            capsize=2,
        )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("s")


def _color(name: str) -> str:
    if name.startswith("this job"):
        return OURS
    return LIMIT if name == a_rewrite.COPY.name else OTHERS


if __name__ == "__main__":
    main()
