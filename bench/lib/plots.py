"""The plots, drawn by gnuplot: the data of each go to a file of blocks, one an allocator."""

import os
import shutil
import subprocess

import rows as rows_of
from setup import say
from summary import Summary

COLOURS = {"glibc": 0x8A8A8A, "jemalloc": 0x3B75AF, "mimalloc": 0xE08A2E, "tcmalloc": 0x4C9A4C,
           "goalloc": 0xC22F38}
FURTHER = (0x8561A8, 0x7A564A, 0x3FA9B5, 0xB5A83F)


def colours_of(summary, names):
    """The colours of some of the allocators, as words for gnuplot; each keeps its own."""
    others = [name for name in summary.names if name not in COLOURS]
    further = {name: FURTHER[i % len(FURTHER)] for i, name in enumerate(others)}
    return " ".join(str({**COLOURS, **further}[name]) for name in names)


def write_blocks(path, blocks):
    """Two blank lines between blocks; each begins with its title."""
    with open(path, "w", encoding="utf-8") as file:
        for title, lines in blocks:
            file.write(f'"{title}"\n')
            file.writelines(line + "\n" for line in lines or ["NaN NaN NaN NaN NaN NaN"])
            file.write("\n\n")


def gnuplot(bench, script, *arguments):
    result = subprocess.run(["gnuplot", "-c", os.path.join(bench, script), *map(str, arguments)],
                            capture_output=True, text=True)
    if result.returncode != 0:
        say(f"gnuplot {script}: {result.stderr.strip()}")
    return result.returncode == 0


def bar_blocks(summary, figure, names):
    """A bar from 1 to the ratio for each allocator, then a block of the rows' names and one that
    says who lost which; a row is one unit high, the first on top."""
    rows = summary.results.rows
    height = 0.8 / len(names)
    blocks = []
    for place, name in enumerate(names):
        lines = []
        for index, row in enumerate(rows):
            ratio = summary.ratio(figure, row, name, "glibc")
            y = len(rows) - index + 0.4 - (place + 0.5) * height
            if ratio:
                lines.append(f"{ratio} {y} 1 {ratio} {y - height / 2} {y + height / 2}")
        blocks.append((name, lines))
    labels, lost = [], []
    for index, row in enumerate(rows):
        labels.append(f'{len(rows) - index} "{row.name}"')
        losers = [name for name in names if summary.results.cells[row.name][name].lost]
        if losers:
            lost.append(f'{len(rows) - index} "lost: {", ".join(losers)}"')
    return blocks + [("rows", labels), ("lost", lost)]


def widest(summary, figure, names):
    """The end of the axis, 2, 4 or 8, that holds all ratios if any of them does."""
    ratios = [summary.ratio(figure, row, name, "glibc") or 1
              for row in summary.results.rows for name in names]
    most = max(max(ratio, 1 / ratio) for ratio in ratios)
    return next((end for end in (2, 4) if most <= end), 8)


def draw_bars(summary, figure, title, bench, out, data):
    names = [name for name in summary.names if name != "glibc"]
    path = os.path.join(data, figure + ".dat")
    write_blocks(path, bar_blocks(summary, figure, names))
    file = f"{figure}.svg"
    drawn = gnuplot(bench, "plot_bars.gp", path, os.path.join(out, file), title,
                    colours_of(summary, names), len(summary.results.rows),
                    widest(summary, figure, names))
    return [(title, file)] if drawn else []


def draw_means(summary, bench, out, data):
    times, memories = summary.means("elapsed"), summary.means("memory")
    names = [name for name in summary.names if times[name] and memories[name]]
    blocks = [(name, [f'{memories[name]} {times[name]} "{name}"']) for name in names]
    title = "Time and memory, geometric means of ratios to glibc"
    path = os.path.join(data, "means.dat")
    write_blocks(path, blocks)
    file = "means.svg"
    drawn = blocks and gnuplot(bench, "plot_scatter.gp", path, os.path.join(out, file), title,
                               colours_of(summary, names))
    return [(title, file)] if drawn else []


def draw_curve(summary, curve, bench, out, data):
    """Two panels: the cost of an operation and resident to live bytes."""
    paths = []
    for metric in ("operation", "rss_to_live"):
        paths.append(os.path.join(data, f"{curve.name}.{metric}.dat"))
        write_blocks(paths[-1], [
            (name, [f"{x} {y}" for x, y in summary.curve(curve.name, name, metric)])
            for name in summary.names])
    values = summary.results.curves[curve.name][summary.names[0]]
    measured = {x for x, _ in values}
    ticks = ", ".join(f'"{text}" {rows_of.parse_bytes(text)}' for text in curve.values
                      if rows_of.parse_bytes(text) in measured)
    file = curve.name + ".svg"
    drawn = values and gnuplot(bench, "plot_curve.gp", *paths, os.path.join(out, file), curve.label,
                               colours_of(summary, summary.names), f"({ticks})")
    return [(f"Cost and memory by {curve.label}", file)] if drawn else []


def draw_all(results, bench, out, data):
    """Draws what was measured; returns pairs of title and file name."""
    if shutil.which("gnuplot") is None:
        say("WARNING: no gnuplot here: no plots are drawn.")
        return []
    summary = Summary(results)
    drawn = []
    if results.rounds > 0:
        drawn += draw_means(summary, bench, out, data)
        drawn += draw_bars(summary, "elapsed", "Elapsed time, ratio to glibc", bench, out, data)
        drawn += draw_bars(summary, "memory", "Memory, ratio to glibc", bench, out, data)
    for curve in rows_of.CURVES:
        if curve.name in results.curves:
            drawn += draw_curve(summary, curve, bench, out, data)
    return drawn
