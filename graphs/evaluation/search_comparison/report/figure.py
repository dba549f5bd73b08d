"""The figures of a comparison, as SVG: accuracy over cost, the noise sweep, and the
loss attribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphs.evaluation.search_comparison.cells import CONTROLS, NO_CRITIC, ORACLE
from graphs.evaluation.search_comparison.loss_attribution import CAUSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES = {
    "flops": "FLOPs per question, all roles",
    "generated_tokens": "generated tokens per question, all roles",
}
_TITLES = {
    "others": "not self-verifying",
    "self_verifying": "self-verifying",
    "transfer": "transfer",
    "others_first": "not self-verifying, first questions",
    "self_verifying_first": "self-verifying, first questions",
    "transfer_first": "transfer, first questions",
}
_COLORS = {
    "solved": "#4c9f70",
    "selection": "#f2c14e",
    "pruning": "#f78154",
    "proposal": "#b4436c",
    "budget": "#888888",
}


def draw(groups: Mapping[str, Mapping[str, Any]], folder: Path) -> list[str]:
    """Draws the summary of each group
    (graphs/evaluation/search_comparison/report/summary.py), and returns the names of
    the files.
    """
    figures = {
        "accuracy.svg": _accuracy(groups),
        "noise_sweep.svg": _noise_sweep(groups),
        "loss_attribution.svg": _loss_attribution(groups),
    }
    for name, figure in figures.items():
        # without a date, so that the same cells give the same file
        figure.savefig(folder / name, bbox_inches="tight", metadata={"Date": None})
    return list(figures)


def _panels(
    rows: int, columns: int, *, width: float, height: float
) -> tuple[Figure, list[list[Axes]]]:
    """Returns an empty figure; without pyplot, whose figures need a backend and must be
    closed.
    """
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "longthought"
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in panels]


def _accuracy(groups: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws a row per cost measure and a column per group; a self-verifying group gets
    a second column, with its free check.
    """
    columns = [(group, "accuracy") for group in groups] + [
        (group, "accuracy_with_free_check") for group in groups if group == "self_verifying"
    ]
    labels = list(
        dict.fromkeys(
            _label(row)
            for summary in groups.values()
            for row in summary["rows"]
            if not _is_free(row["critic"])
        )
    )
    figure, panels = _panels(len(_AXES), len(columns), width=6.0, height=4.2)
    handles: dict[str, Any] = {}
    for line, cost in zip(panels, _AXES, strict=True):
        for axes, (group, figure_of) in zip(line, columns, strict=True):
            handles |= _curves(axes, groups[group]["rows"], labels, cost, figure_of)
            axes.set_title(
                f"{_TITLES[group]}{', with its free check' if figure_of != 'accuracy' else ''}"
            )
            axes.set_xlabel(_AXES[cost])
            axes.set_ylabel("accuracy")
            axes.set_xscale("log")
            axes.grid(alpha=0.3)
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=5,
        fontsize="small",
    )
    return figure


def _curves(
    axes: Axes, rows: Sequence[Mapping[str, Any]], labels: Sequence[str], cost: str, figure_of: str
) -> dict[str, Any]:
    """Draws a curve over the budgets for each of `labels`, and returns its legend
    handles.
    """
    from matplotlib import colormaps

    handles = {}
    for number, label in enumerate(labels):
        points = sorted((row for row in rows if _label(row) == label), key=lambda row: row["n"])
        y = [point[figure_of]["value"] for point in points]
        below = [max(point[figure_of]["value"] - point[figure_of]["low"], 0.0) for point in points]
        above = [max(point[figure_of]["high"] - point[figure_of]["value"], 0.0) for point in points]
        style: dict[str, Any] = {
            "color": colormaps["tab20"](number % 20),
            "marker": "osD^v<>pX*"[number % 10],
        }
        style["linestyle"] = "-" if "," in label else "--"  # with a critic, or without
        x = [point[cost] for point in points]
        handles[label] = axes.errorbar(
            x, y, yerr=[below, above], markersize=4, linewidth=1, elinewidth=0.5, **style
        )
    return handles


def _label(row: Mapping[str, Any]) -> str:
    """Returns the name of a curve: the method, and its critic if it has one."""
    return str(row["method"] if row["critic"] == NO_CRITIC else f"{row['method']}, {row['critic']}")


def _noise_sweep(groups: Mapping[str, Mapping[str, Any]]) -> Figure:
    figure, panels = _panels(1, len(groups), width=6.0, height=4.2)
    for axes, (group, summary) in zip(panels[0], groups.items(), strict=True):
        searches = list(
            dict.fromkeys(name for setting in summary["noise_sweep"] for name in setting["gains"])
        )
        for number, search in enumerate(searches):
            points = [
                setting
                for setting in summary["noise_sweep"]
                if search in setting["gains"] and setting["sibling_accuracy"] is not None
            ]
            oracle = sorted(
                (p for p in points if p["is_oracle"]), key=lambda p: p["sibling_accuracy"]
            )
            axes.plot(
                [p["sibling_accuracy"] for p in oracle],
                [p["gains"][search] for p in oracle],
                color=f"C{number}", marker="o",
                label=f"{search}, oracle with flips",
            )  # fmt: skip
            for point in points:
                if not point["is_oracle"]:
                    place = point["sibling_accuracy"], point["gains"][search]
                    axes.plot(*place, color=f"C{number}", marker="x", linestyle="")
                    axes.annotate(
                        point["critic"],
                        place,
                        fontsize="x-small",
                        xytext=(3, 3),
                        textcoords="offset points",
                    )
        axes.axhline(0.0, color="black", linewidth=0.5)
        axes.set_title(_TITLES[group])
        axes.set_xlabel("within-sibling accuracy of the critic")
        axes.set_ylabel(f"gain over the best base at N = {summary['budget']}")
        axes.grid(alpha=0.3)
        if searches:
            axes.legend(fontsize="small")
    return figure


def _loss_attribution(groups: Mapping[str, Mapping[str, Any]]) -> Figure:
    longest = max((len(_bars(summary)) for summary in groups.values()), default=1)
    figure, panels = _panels(1, len(groups), width=6.0, height=1.0 + 0.25 * longest)
    for axes, (group, summary) in zip(panels[0], groups.items(), strict=True):
        bars = _bars(summary)
        names = [f"{row['method']} {row['n']}" for row in bars]
        left = [0.0] * len(bars)
        for cause in CAUSES:
            shares = [row["shares"][cause] for row in bars]
            axes.barh(names, shares, left=left, color=_COLORS[cause], label=cause)
            left = [a + b for a, b in zip(left, shares, strict=True)]
        axes.set_title(_TITLES[group])
        axes.set_xlabel("share of the questions")
        axes.set_xlim(0, 1)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(CAUSES), fontsize="small")
    return figure


def _bars(summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Returns the methods with the first critic or without one, by rising share of
    solved questions (the top bar is the best).
    """
    seen: dict[str, Mapping[str, Any]] = {}
    for row in summary["loss_attribution"]:
        if not _is_free(row["critic"]):
            seen.setdefault(row["method"], row)
    return sorted(seen.values(), key=lambda row: float(row["shares"]["solved"]))


def _is_free(critic: str) -> bool:
    """Whether a critic is a control or the oracle, which belong in the noise sweep."""
    return critic in CONTROLS or critic.startswith(ORACLE)
