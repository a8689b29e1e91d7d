"""Tables on the terminal, report.md and report.json."""

import json
import os
from dataclasses import asdict

from summary import FIGURES, TITLES, Summary, geometric_mean

NOTE = """A row's figure is the median of the measured rounds ({rounds}); the range is {range}.
Ratios are quotients of medians, below 1 is better; means are geometric means of the ratios to glibc
over the rows that every allocator finished. "Best peer" is the best of all allocators but goalloc,
each row by itself. Memory is the peak of resident memory, or the metric that the row names. System
calls were counted once, under strace."""


# ---- numbers ----

def number(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / {'G': 1e9, 'M': 1e6, 'k': 1e3}[unit]:.4g}{unit}"
    return f"{value:.4g}"


def size(value):
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= limit:
            return f"{value / limit:.4g} {unit}"
    return f"{value:.4g}"


def formatter(figure, row):
    """Metrics may be in bytes or not; peaks are."""
    if figure in ("elapsed", "cpu"):
        return lambda value: f"{value:.3f} s"
    if figure == "memory" and (row.memory in ("peak", "rss") or row.memory.startswith("rss_")
                               and row.memory != "rss_to_live"):
        return size
    return number


def ratio_text(ratio):
    return "-" if ratio is None else f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


# ---- tables as lists of lists of text ----

def is_figures(lines, column):
    return any(line[column][0].isdigit() for line in lines)


def terminal_table(head, lines):
    """Columns of figures stand to the right."""
    columns = range(len(head))
    widths = [max(len(line[column]) for line in [head] + lines) for column in columns]
    right = [column > 0 and is_figures(lines, column) for column in columns]

    def one(line):
        return "  ".join(line[column].rjust(widths[column]) if right[column]
                         else line[column].ljust(widths[column]) for column in columns).rstrip()
    rule = ["-" * width for width in widths]
    return "\n".join(one(line) for line in [head, rule] + lines)


def markdown_table(head, lines):
    def one(line):
        return "| " + " | ".join(text.replace("|", "\\|") for text in line) + " |"
    rule = "|---|" + "".join("---:|" if is_figures(lines, column) else "---|"
                             for column in range(1, len(head)))
    return "\n".join([one(head), rule] + [one(line) for line in lines]) + "\n"


def short_cell(summary, figure, row, name):
    """The ratio to glibc and the spread; of glibc itself, the figure."""
    stat = summary.stat(figure, row, name)
    if stat is None:
        return "LOST" if summary.results.cells[row.name][name].lost else "-"
    first = (formatter(figure, row)(stat.median) if name == "glibc"
             else ratio_text(summary.ratio(figure, row, name, "glibc")))
    return f"{first} ±{100 * stat.spread():.0f}%" if summary.results.rounds > 1 else first


def long_cell(summary, figure, row, name):
    stat = summary.stat(figure, row, name)
    if stat is None:
        return "**lost**" if summary.results.cells[row.name][name].lost else "-"
    show = formatter(figure, row)
    text = show(stat.median)
    if stat.high > stat.low:
        text += f" ({show(stat.low)} to {show(stat.high)})"
    if name != "glibc":
        text += f", {ratio_text(summary.ratio(figure, row, name, 'glibc'))}"
    return text


def figure_table(summary, figure, cell):
    head = ["row"] + summary.names + ["goalloc / best peer"]
    lines = []
    for row in summary.results.rows:
        ratio, best = summary.to_best(figure, row)
        lines.append([row.name] + [cell(summary, figure, row, name) for name in summary.names]
                     + [f"{ratio_text(ratio)} {best}" if ratio else "-"])
    return head, lines


def means_table(summary):
    head = ["geometric mean of ratios to glibc"] + summary.names + ["rows"]
    lines = []
    for figure in FIGURES:
        means = summary.means(figure)
        lines.append([TITLES[figure]] + [ratio_text(means[name]) for name in summary.names]
                     + [f"{len(summary.counted(figure))} of {len(summary.results.rows)}"])
    return head, lines


def behind_table(summary, figure):
    head = ["row", "goalloc / best peer", "best peer", "ranges"]
    lines = [[entry.row.name, ratio_text(entry.ratio), entry.peer,
              "overlap" if entry.within_spread else "apart"] for entry in summary.behind(figure)]
    return head, lines


def lost_table(summary):
    return ["row", "allocator", "why"], [list(entry) for entry in summary.lost()]


def pairs_table(summary, revision):
    """goalloc against one of its revisions, round by round; the mean comes last."""
    tables = [summary.pairs(figure, revision) for figure in ("elapsed", "cpu", "memory")]
    lines = []
    for row in summary.results.rows:
        stats = [table.get(row.name) for table in tables]
        if any(stats):
            lines.append([row.name] + [f"{s.median:.3f} ({s.low:.3f} to {s.high:.3f})" if s else "-"
                                       for s in stats])
    means = [geometric_mean([stat.median for stat in table.values()]) for table in tables]
    lines.append(["geometric mean"] + [f"{mean:.3f}" if mean else "-" for mean in means])
    return ["row", "time", "CPU time", "memory"], lines


def metrics_table(summary):
    head = ["row", "metric"] + summary.names
    lines = []
    for row in summary.results.rows:
        for metric, (unit, values) in summary.metrics(row).items():
            show = size if unit == "bytes" else number
            label = metric if unit in ("bytes", "ratio", "count") else f"{metric}, {unit}"
            lines.append([row.name, label] + [show(values[name]) if name in values else "-"
                                              for name in summary.names])
    return head, lines


def curve_table(summary, name, metric):
    curves = {allocator: dict(summary.curve(name, allocator, metric))
              for allocator in summary.names}
    values = sorted(set(x for curve in curves.values() for x in curve))
    show = str if name == "curve-threads" else size
    lines = [[show(x)] + [number(curves[allocator][x]) if x in curves[allocator] else "-"
                          for allocator in summary.names] for x in values]
    return [name.split("-")[1]] + summary.names, lines


# ---- the whole ----

def spread_words(results):
    return "from the first to the third quartile" if results.rounds >= 4 else "from least to most"


def print_facts(facts, options):
    print("\n".join(f"{name + ':':<27} {value}" for name, value in facts.items()))
    print(f"{'scale:':<27} {options.scale:g}\n", flush=True)


def print_section(title, table):
    head, lines = table
    if lines:
        print(f"\n{title}\n{terminal_table(head, lines)}", flush=True)


def print_report(summary):
    results = summary.results
    words = (f"median of {results.rounds}, ± half the range {spread_words(results)}"
             if results.rounds > 1 else "one round only")
    if results.rows:
        for figure in ("elapsed", "memory"):
            print_section(f"{TITLES[figure]}: glibc's, and the others' ratio to it ({words})",
                          figure_table(summary, figure, short_cell))
    for name in results.curves:
        print_section(f"{name}: nanoseconds for a free and a malloc",
                      curve_table(summary, name, "operation"))
    for figure in ("elapsed", "memory"):
        print_section(f"goalloc behind the best peer: {TITLES[figure].lower()}",
                      behind_table(summary, figure))
    for revision in summary.revisions:
        print_section(f"goalloc / {revision}, median of the rounds' ratios",
                      pairs_table(summary, revision))
    print_section("Lost", lost_table(summary))
    if results.rows:
        print_section("Means, below 1 is better than glibc", means_table(summary))


def markdown(summary, drawn):
    results = summary.results
    parts = ["# goalloc's benchmarks", "This run was interrupted." if results.interrupted else "",
             "\n".join(f"- {name}: {value}" for name, value in results.facts.items())
             + f"\n- scale: {results.options.scale:g}; measured rounds: {results.rounds}",
             NOTE.format(rounds=results.rounds, range=spread_words(results))]

    def section(title, table, level="##"):
        if table[1]:
            parts.append(f"{level} {title}")
            parts.append(markdown_table(*table))

    if results.rows:
        section("Means", means_table(summary))
    parts.extend(f"![{title}]({file})" for title, file in drawn)
    for figure in ("elapsed", "memory"):
        section(f"Behind the best peer: {TITLES[figure].lower()}", behind_table(summary, figure))
    section("Lost", lost_table(summary))
    for revision in summary.revisions:
        section(f"goalloc / {revision}, median of the rounds' ratios",
                pairs_table(summary, revision))
    for figure in FIGURES if results.rows else ():
        section(TITLES[figure], figure_table(summary, figure, long_cell))
    section("What the workloads report", metrics_table(summary))
    for name in results.curves:
        section(f"{name}: nanoseconds for a free and a malloc",
                curve_table(summary, name, "operation"))
        section(f"{name}: resident to live bytes", curve_table(summary, name, "rss_to_live"))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def as_json(results):
    return {
        "machine": results.facts, "scale": results.options.scale, "rounds": results.rounds,
        "interrupted": results.interrupted,
        "allocators": [{"name": a.name, "kind": a.kind, "version": a.version}
                       for a in results.allocators],
        "rows": [{"name": row.name, "program": row.program, "group": row.group,
                  "arguments": row.arguments, "memory": row.memory,
                  "allocators": {name: asdict(cell)
                                 for name, cell in results.cells[row.name].items()}}
                 for row in results.rows],
        "curves": results.curves, "curve_losses": results.curve_losses,
    }


def write_all(results, directory, drawn):
    summary = Summary(results)
    print_report(summary)
    with open(os.path.join(directory, "report.md"), "w", encoding="utf-8") as file:
        file.write(markdown(summary, drawn))
    with open(os.path.join(directory, "report.json"), "w", encoding="utf-8") as file:
        json.dump(as_json(results), file, indent=1)
        file.write("\n")
    print(f"\nAll of it: {directory}/report.md, report.json and {len(drawn)} plots")
