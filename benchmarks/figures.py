"""Charts of the page "Measurements" of the guide, drawn from `benchmarks/records` into `doc/_static`.

    python -m benchmarks.figures [--only NAME ...] [--folder doc/_static]

The files `*.jsonl` hold the records of finished runs, and `evidence.jsonl` may grow: the charts show the data sets with
at least two repeats, and intervals where there are at least five. The files `*.json` hold published figures of
benchmarks that keep no records; each says in "source" which command measured them.
"""

import argparse
import json
from ast import literal_eval
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from PIL import Image

from benchmarks import jobs, mnist, uci
from benchmarks.evidence_data import SETS
from benchmarks.evidence_report import RIVALS, group_of, paired, scores

RECORDS = Path(__file__).parent / "records"
STATIC = Path(__file__).parents[1] / "doc" / "_static"
BETTER, UNCLEAR, WORSE, RIVAL, LIGHT = "#1f77b4", "#8a8a8a", "#d95f02", "#b8b8b8", "#8ec1e8"
STYLE = {  # 1140 pixels wide
    "figure.dpi": 190,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
}
WIDTH = 6
ARMS = {
    "plain": "no regularization",
    "decay": "weight decay",
    "smoothing": "label smoothing",
    "early stopping": "early stopping",
    "input noise": "input noise",
    "all rivals": "best of all these",
    "recipe": "recipe, not tuned",
    "dropout": "dropout, tuned",
    "passes": "Monte Carlo dropout",
}


def read(name):
    """Return the content of a JSON file of records, or {key: record} of a results file."""
    if name.endswith(".json"):
        return json.loads((RECORDS / name).read_text())
    return {literal_eval(key): record for key, record in jobs.read(RECORDS / name).items()}


def table(name):
    """Return the columns and the rows of a JSON file of records."""
    record = read(name)
    return record["columns"], record["rows"]


def compress(file):
    """Rewrite the picture with a palette of 100 colors, which makes its file smaller."""
    Image.open(file).convert("RGB").quantize(100, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def plot_differences(ax, labels, means, half_widths):
    """Plot paired differences with their intervals, where they have one, in a color that says what is better."""
    for position, (mean, half_width) in enumerate(zip(means, half_widths, strict=True)):
        color = UNCLEAR if not abs(mean) > half_width else BETTER if mean < 0 else WORSE
        style = {"color": color, "markersize": 6, "elinewidth": 2, "markerfacecolor": color}
        if np.isnan(half_width):
            style["markerfacecolor"] = "white"
        ax.errorbar(mean, position, xerr=half_width, fmt="o", **style)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.grid(alpha=0.3)


def add_legend(figure, has_few_repeats=False):
    """Add the legend of `plot_differences`."""
    labels = {"dropout is better": BETTER, "no clear difference": UNCLEAR, "dropout is worse": WORSE}
    handles = [Line2D([], [], color=color, marker="o", linewidth=2, label=label) for label, color in labels.items()]
    if has_few_repeats:
        style = {"color": UNCLEAR, "marker": "o", "markerfacecolor": "white", "linestyle": ""}
        handles.append(Line2D([], [], label="fewer than 5 repeats", **style))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


def plot_bars(ax, groups, series, color):
    """Plot horizontal bars: `series` is {label: (mean, standard error) pairs of the groups}.

    `color` is that of each group, or {label: color}.
    """
    for label, positions, height, values in layout(series):
        means, errors = np.transpose(values)
        style = {"height": height, "label": label, "color": color[label] if isinstance(color, dict) else color}
        ax.barh(positions, means, xerr=errors, error_kw={"elinewidth": 1}, **style)
        for mean, *end in zip(means, means + errors, positions, strict=True):
            annotate(ax, f"{mean:.1f}", end)
    finish(ax, groups)


def plot_ratios(ax, groups, series, colors):
    """Plot horizontal bars from 1 on a logarithmic axis: `series` is {label: values of the groups}."""
    ax.set_xscale("log")
    for (label, positions, height, values), color in zip(layout(series), colors, strict=True):
        ax.barh(positions, np.subtract(values, 1), height, left=1, label=label, color=color)
        for value, position in zip(values, positions, strict=True):
            annotate(ax, value, (value, position), is_left=value < 1)
    ax.axvline(1, color="black", linewidth=1)
    values = list(series.values())
    left, right = min(0.75 * np.min(values), 0.93), max(1.25 * np.max(values), 1.08)
    ax.set_xlim(left, right)
    ax.set_xticks([tick for tick in (0.2, 0.5, 1, 2, 5, 10) if left < tick < right])
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:g}")
    finish(ax, groups)


def layout(series):
    """Yield label, positions of the bars in the groups, their height, and values of each of the series."""
    n, height = len(series), 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        yield label, np.arange(len(values)) + height * (i - (n - 1) / 2), 0.9 * height, values


def annotate(ax, text, position, is_left=False):
    style = {"textcoords": "offset points", "va": "center", "ha": "right" if is_left else "left", "fontsize": 9}
    ax.annotate(text, position, (-3 if is_left else 3, -0.5), **style)


def finish(ax, groups):
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.45, -0.55)
    ax.grid(axis="x", alpha=0.3)


def differences(by_set, name, rivals):
    """Return means and half-widths of the intervals of dropout minus rivals, as arrays (2 metrics, n_rivals)."""
    results = [paired(by_set[name]["dropout"] - by_set[name][rival], SETS[name].overlap) for rival in rivals]
    return np.transpose([[mean[:2], half_width[:2]] for mean, _, half_width, *_ in results], (1, 2, 0))


def draw_rivals(file):
    """Plot dropout minus each rival on the images with correct labels."""
    by_set, rivals = scores(read("evidence.jsonl")), [*RIVALS, "all rivals"]
    names = "MNIST 1000", "Fashion-MNIST 1000"
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.2), sharex="row", sharey=True)
    for column, name in zip(axes.T, names, strict=True):
        for ax, *values in zip(column, *differences(by_set, name, rivals), strict=True):
            plot_differences(ax, [ARMS[rival] for rival in rivals], *values)
        column[0].set_title(name.removesuffix(" 1000"))
        for ax, metric in zip(column, ("test error, points", "log loss"), strict=True):
            ax.set_xlabel(metric)
    figure.suptitle("Dropout minus each rival, 1 000 images (left: dropout is better)", fontsize=12)
    add_legend(figure)
    figure.savefig(file)


def draw_all(file):
    """Plot dropout minus the best rival on all data sets."""
    by_set = scores(read("evidence.jsonl"))
    titles = {"classification": ("test error, points", "log loss"), "regression": ("RMSE / sd of y", "−log density")}
    names = {kind: [name for name in sorted(by_set, key=group_of) if SETS[name].kind == kind] for kind in titles}
    figure, axes = plt.subplots(
        2,
        2,
        figsize=(WIDTH, 2.2 + 0.27 * len(by_set)),
        sharey="row",
        height_ratios=[len(group) for group in names.values()],
    )
    has_few_repeats = False
    for row, (kind, group) in zip(axes, names.items(), strict=True):
        values = np.concatenate([differences(by_set, name, ["all rivals"]) for name in group], axis=2)
        has_few_repeats |= np.isnan(values).any()
        for ax, title, means, half_widths in zip(row, titles[kind], *values, strict=True):
            plot_differences(ax, [name.replace("Fashion-MNIST", "Fashion") for name in group], means, half_widths)
            ax.set_xlabel(title)
    figure.suptitle("Dropout minus the best rival (left: dropout is better)", fontsize=12)
    add_legend(figure, has_few_repeats)
    figure.savefig(file)


def draw_wrong_labels(file):
    """Plot the test error of each arm after training with wrong labels."""
    by_set = {name: of for name, of in scores(read("evidence.jsonl")).items() if "wrong" in name}
    names = sorted(by_set, key=lambda name: (name[-11:], name[0] == "F"))
    n_rows = -(-len(names) // 2)
    figure, axes = plt.subplots(n_rows, 2, figsize=(WIDTH, 0.4 + 2.7 * n_rows), sharex=True, sharey=True)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    colors = [BETTER if arm in ("recipe", "dropout", "passes") else RIVAL for arm in ARMS]
    for ax, name in zip(axes.flat, names, strict=False):
        errors = np.array([by_set[name][arm][:, 0] for arm in ARMS])
        means, sem = errors.mean(axis=1), errors.std(axis=1, ddof=1) / np.sqrt(errors.shape[1])
        plot_bars(ax, ARMS.values(), {"error": np.transpose([means, sem])}, colors)
        ax.set_title(name.replace(" 1000", ""))
        ax.set_xlabel("test error, %")
    figure.suptitle("Error after training with wrong labels (blue: dropout)", fontsize=12)
    figure.savefig(file)


def draw_uci(file):
    """Plot the log-likelihood of Monte Carlo dropout, published and here."""
    columns, rows = table("uci.json")
    runs = [(key[1], run["likelihood"]) for key, (run,) in read("uci.jsonl").items() if key[0] == "calibrated"]
    calibrated = [uci.mean_and_error([value for other, value in runs if other == name]) for name in columns]
    arms = {
        "published (2018)": [uci.PUBLISHED["grid"][name][2:] for name in columns],
        "same method here": rows["grid"],
        "recipe": rows["recipe"],
        "recipe, calibrated": calibrated,
    }
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 4.2), sharey=True)
    for i, (ax, name) in enumerate(zip(axes.flat, columns, strict=True)):
        for position, (arm, color) in enumerate(zip(arms, (WORSE, UNCLEAR, BETTER, BETTER), strict=True)):
            mean, error = arms[arm][i]
            ax.errorbar(mean, position, xerr=error, fmt="o", color=color, elinewidth=2)
            ax.annotate(
                f"{mean:+.3f}".replace("-", "−"),
                (mean, position),
                (0, 5),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
        ax.set(title=name, xlabel="log-likelihood", ylim=(3.5, -0.7))
        ax.set_yticks(range(len(arms)), arms)
        ax.margins(x=0.25)
        ax.grid(alpha=0.3)
    figure.suptitle("Test log-likelihood, 20 splits (farther right is better)", fontsize=12)
    figure.savefig(file)


def draw_kinds(file):
    """Plot the change of the error by each kind of dropout, relative to no dropout."""
    columns, rows = table("kinds.json")
    baseline = np.array(read("kinds.json")["no dropout"])
    figure, ax = plt.subplots(figsize=(WIDTH, 4))
    for i, (kind, values) in enumerate(rows.items()):
        means, errors = 100 * np.transpose(values) / baseline
        positions = np.arange(len(columns)) + 0.18 * (i - 1.5)
        ax.errorbar(means, positions, xerr=2 * errors, fmt="osD^"[i], markersize=5, elinewidth=1.5, label=kind)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(columns)), columns)
    ax.set_ylim(len(columns) - 0.5, -0.5)
    ax.set(xlabel="change of the error, % (± 2 standard errors)")
    ax.grid(axis="x", alpha=0.3)
    figure.suptitle("Dropout compared with no dropout (left of 0: dropout is better)", fontsize=12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(file)


def draw_robustness(file):
    """Plot the test error under noise, missing pixels and wrong labels."""
    columns, rows = table("robustness.json")
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 5.4), sharey=True)
    colors = dict(zip(rows["MNIST, 1 000 images"], (UNCLEAR, RIVAL, BETTER, LIGHT), strict=True))
    for ax, (data, series) in zip(axes, rows.items(), strict=True):
        plot_bars(ax, columns, series, colors)
        ax.set(title=data, xlabel="test error, %")
        ax.margins(x=0.12)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(file)


def draw_ratios(name, n_columns, title, file):
    """Plot ratios of times."""
    columns, rows = table(f"{name}.json")
    series = {column: [row[i] for row in rows.values()] for i, column in enumerate(columns[:n_columns])}
    figure, ax = plt.subplots(figsize=(WIDTH, 1.6 + 0.18 * n_columns * len(rows)))
    plot_ratios(ax, rows, series, (BETTER, LIGHT, WORSE)[:n_columns])
    ax.set_xlabel("ratio of times, logarithmic scale")
    figure.suptitle(title, fontsize=12)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(file)


def draw_mnist(file):
    """Plot the test error on MNIST after each epoch."""
    curves = {}
    for (name, _, _, rows, *_), record in read("mnist.jsonl").items():
        if rows == "test":
            curves.setdefault(name, []).append(record["curve"])
    mnist.plot({name: np.mean(of, axis=0) for name, of in curves.items()}, file)


CHARTS = {
    "evidence_rivals": draw_rivals,
    "evidence_all": draw_all,
    "wrong_labels": draw_wrong_labels,
    "uci": draw_uci,
    "kinds": draw_kinds,
    "robustness": draw_robustness,
    "mnist": draw_mnist,
    "speed": partial(draw_ratios, "speed", 2, "Training time of PyTorch / training time of skdropout"),
    "contention": partial(draw_ratios, "contention", 2, "Training time / that of skdropout, one busy process"),
    "tuning": partial(draw_ratios, "tuning", 3, "Time of a search with skdropout / time of the other search"),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=CHARTS, default=list(CHARTS))
    parser.add_argument("--folder", type=Path, default=STATIC)
    args = parser.parse_args()
    plt.rcParams.update(STYLE)
    for chart in args.only:
        CHARTS[chart](args.folder / f"{chart}.png")
        compress(args.folder / f"{chart}.png")
