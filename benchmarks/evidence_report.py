"""Tables and plot of `benchmarks.evidence`."""

from collections import Counter
from itertools import pairwise

import numpy as np
from scipy import stats

from benchmarks.evidence_data import SETS

METRICS = {  # title, unit, factor, digits
    "classification": [
        ("error", "%", 100, 2),
        ("log loss", "nats", 1, 4),
        ("log loss, scaled", "nats", 1, 4),
        ("error, half missing", "%", 100, 2),
        ("log loss, half missing", "nats", 1, 4),
    ],
    "regression": [("RMSE", "sd", 1, 4), ("-log density", "nats", 1, 4)],
}
HEADLINES = [("dropout", "all rivals"), ("full search", "all rivals")]
RIVALS = "plain", "decay", "smoothing", "early stopping", "input noise"
PAIRS = [*HEADLINES, ("passes", "all rivals"), ("recipe", "all rivals")] + [("dropout", rival) for rival in RIVALS]
MIN_TESTED = 5  # repeats


def group_of(name):
    data = SETS[name]
    if data.is_image:
        return "images, wrong labels" if "wrong" in name else "images"
    return "tables and text" if data.kind == "classification" else "regression"


def scores(records):
    """Return {data set: {arm: array (n_repeats, n_metrics)}}, in the units of METRICS, NaN if not measured."""
    by_set = {}
    for name in SETS:
        repeats = [record for (other, _), record in records.items() if other == name]
        factors = [factor for _, _, factor, _ in METRICS[SETS[name].kind]]
        if len(repeats) > 1:
            by_set[name] = {arm: np.full((len(repeats), len(factors)), np.nan) for arm in repeats[0]}
            for arm, table in by_set[name].items():
                values = np.array([record[arm][0][: len(factors)] for record in repeats])
                table[:, : values.shape[1]] = values * factors[: values.shape[1]]
    return by_set


def paired(difference, overlap):
    """Return mean, standard error, half-width of the 95 % interval, p of the corrected t-test, p of Wilcoxon's test."""
    n = len(difference)
    mean, error = difference.mean(axis=0), np.sqrt((1 / n + overlap) * difference.var(axis=0, ddof=1))
    p = np.full((2, len(mean)), np.nan)
    for i in np.flatnonzero(np.isfinite(mean)) if n >= MIN_TESTED else ():
        p[:, i] = 1
        if error[i]:
            p[:, i] = 2 * stats.t.sf(abs(mean[i]) / error[i], n - 1), stats.wilcoxon(difference[:, i]).pvalue
    return mean, error, error * stats.t.ppf(0.975, n - 1) if n >= MIN_TESTED else np.full(len(mean), np.nan), *p


def holm(p):
    """Return the p-values after Holm's correction. NaN is not counted."""
    p = np.asarray(p)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def report(records):
    """Print the means of the arms, the paired differences of all questions, and what full search selects."""
    by_set = scores(records)
    for kind, metrics in METRICS.items():
        names = [name for name in by_set if SETS[name].kind == kind]
        if not names:
            continue
        columns = list(max((by_set[name] for name in names), key=len))
        for i, (title, unit, _, digits) in enumerate(metrics):
            print_row(f"\n{title}, {unit}", columns, 14)
            for name in names:
                means = (by_set[name][arm][:, i].mean() if arm in by_set[name] else np.nan for arm in columns)
                print_row(name, (f"{mean:.{digits}f}" for mean in means), 14)
        for arm, rival in PAIRS:
            report_pair(
                {name: by_set[name] for name in names if {arm, rival} <= set(by_set[name])}, arm, rival, metrics
            )
        print("\nSelected by full search: in how many repeats with dropout, and most often")
        for name in names:
            chosen = (record["full search"][1] for (other, _), record in records.items() if other == name)
            cells = []
            for (title, *_), candidates in zip(metrics, zip(*chosen, strict=True), strict=False):
                n = sum(candidate.startswith("dropout") for candidate in candidates)
                cells.append(f"{title}: {n} of {len(candidates)}, {Counter(candidates).most_common(1)[0][0]}")
            print_row(name, cells, 0)


def report_pair(by_set, arm, rival, metrics):
    """Print mean ± standard error of arm - rival with p-values on each data set, and summaries of the groups."""
    if not by_set:
        return
    results = {name: paired(of[arm] - of[rival], SETS[name].overlap) for name, of in by_set.items()}
    p = [[holm(column) for column in np.transpose([result[i] for result in results.values()])] for i in (3, 4)]
    print_row(f"\n{arm} - {rival}", (f"{title}, {unit}" for title, unit, *_ in metrics), 35)
    groups = {}
    for row, (name, (mean, error, *_)) in enumerate(results.items()):
        groups.setdefault(group_of(name), []).append(name)
        cells = (
            f"{mean[i]:+.{digits}f} ± {error[i]:.{digits}f} ({p[0][i][row]:.3f}, {p[1][i][row]:.3f})"
            for i, (*_, digits) in enumerate(metrics)
        )
        print_row(name, cells, 35)
    for group, names in groups.items():
        means = np.array([[by_set[name][a].mean(axis=0) for a in (arm, rival)] for name in names])
        cells = []
        for (title, *_), (own, other) in zip(metrics, np.transpose(means, (2, 1, 0)), strict=True):
            positive = (own > 0) & (other > 0)  # no ratio for a data set without errors
            if title == "-log density":
                summary = f"mean {(own - other).mean():+.4f}"
            else:
                summary = (
                    f"ratio {np.exp(np.log(own[positive] / other[positive]).mean()):.3f}" if positive.any() else "nan"
                )
            cells.append(f"{summary}, better {(own < other).sum()}, worse {(own > other).sum()}")
        print_row(f"= {group}", cells, 35)


def print_row(first, cells, width):
    line_break = "\n" * first.startswith("\n")
    cells = (f"{'-' if cell.lstrip('+').startswith('nan') else cell:>{width}}" for cell in cells)
    print(f"{line_break}{first.strip():26}", *cells, sep=" | ")


def report_longer(records):
    """Print error (%) and log loss for each number of epochs, and the paired differences from one to the next."""
    names, repeats, candidates, factors = (list(dict.fromkeys(values)) for values in zip(*records, strict=True))
    for name in names:
        differences = [f"{later} - {earlier}" for earlier, later in pairwise(factors)]
        print_row(f"\n{name}, epochs x", [*map(str, factors), *differences], 40)
        for candidate in candidates:
            table = [[records[name, repeat, candidate, factor] for factor in factors] for repeat in repeats]
            columns = np.moveaxis(table * np.array([100, 1]), 1, 0)
            cells = [f"{values[:, 0].mean():.2f} / {values[:, 1].mean():.4f}" for values in columns]
            for earlier, later in pairwise(columns):
                mean, error, _, p, _ = paired(later - earlier, 0)
                cells.append(
                    " / ".join(f"{mean[i]:+.{d}f} ± {error[i]:.{d}f} ({p[i]:.3f})" for i, d in enumerate((2, 4)))
                )
            print_row(candidate, cells, 40)


def report_fresh(records):
    """Print error (%) and log loss of each candidate, and the paired difference of the first, dropout, to it."""
    tables = {}
    for (name, _, candidate, *_), record in records.items():
        tables.setdefault(name, {}).setdefault(candidate, []).append(record)
    for name, table in tables.items():
        dropout, *_ = table
        print_row(f"\n{name}", ["error, %", "log loss, nats", f"{dropout} minus this (p)"], 40)
        for candidate, values in table.items():
            values = np.array(values) * [100, 1]
            cells = [f"{values[:, 0].mean():.2f}", f"{values[:, 1].mean():.4f}"]
            if candidate != dropout:
                mean, error, _, p, _ = paired(table[dropout] * np.array([100, 1]) - values, 0)
                cells.append(
                    " / ".join(f"{mean[i]:+.{d}f} ± {error[i]:.{d}f} ({p[i]:.4f})" for i, d in enumerate((2, 4)))
                )
            print_row(candidate, cells, 40)


def plot(records, file):
    """Plot the paired differences of the two headline questions with 95 % intervals."""
    import matplotlib.pyplot as plt

    by_set = scores(records)
    rows = [[name for name in by_set if SETS[name].kind == kind][::-1] for kind in METRICS]
    kinds = [(kind, names) for kind, names in zip(METRICS, rows, strict=True) if names]
    figure, axes = plt.subplots(
        len(kinds),
        2,
        figsize=(11, 1.5 + 0.45 * sum(len(names) for _, names in kinds)),
        height_ratios=[len(names) for _, names in kinds],
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for row, (kind, names) in zip(axes, kinds, strict=True):
        for metric, (ax, (title, unit, _, _)) in enumerate(zip(row, METRICS[kind], strict=False)):
            for k, (arm, rival) in enumerate(HEADLINES):
                results = [paired(by_set[n][arm] - by_set[n][rival], SETS[n].overlap) for n in names]
                mean, half_width = np.array([(mean[metric], half[metric]) for mean, _, half, *_ in results]).T
                style = {"fmt": "os"[k], "color": f"C{k}", "markersize": 5, "elinewidth": 1, "capsize": 2}
                position = np.arange(len(names)) + 0.15 - 0.3 * k
                ax.errorbar(mean, position, xerr=half_width, label=f"{arm} against {rival}", **style)
            ax.axvline(0, color="gray", linewidth=1)
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(-0.6, len(names) - 0.4)
            ax.set_xlabel(f"difference in {title}, {'percentage points' if unit == '%' else unit}")
            ax.grid(axis="x", alpha=0.3)
            ax.set_title("← better with dropout   |   worse →", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle("Does dropout help? Paired differences with 95 % intervals (nested cross-validation)")
    figure.savefig(file, dpi=130)
    print(f"\nSaved the figure to {file}.")
