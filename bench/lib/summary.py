"""From samples to figures: medians, spreads, ratios and geometric means of medians."""

import math
import statistics
from dataclasses import dataclass

FIGURES = ("elapsed", "cpu", "memory", "faults", "syscalls")
TITLES = {"elapsed": "Elapsed time", "cpu": "CPU time", "memory": "Memory",
          "faults": "Page faults", "syscalls": "System calls"}
EQUAL = 0.005   # ratios this near to 1 are no difference


@dataclass
class Stat:
    median: float
    low: float     # first quartile, or the least of fewer than four samples
    high: float    # third quartile, or the most

    def spread(self):
        """Half of the distance from low to high, as a part of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass
class Behind:
    """A row in which goalloc needs more than the best of the others."""
    row: object
    peer: str
    ratio: float
    within_spread: bool


def stat_of(values):
    if not values:
        return None
    if len(values) < 4:
        return Stat(statistics.median(values), min(values), max(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Stat(median, low, high)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


class Summary:
    def __init__(self, results):
        self.results = results
        self.allocators = results.allocators
        self.names = [allocator.name for allocator in results.allocators]
        self.peers = [a.name for a in results.allocators if a.kind in ("glibc", "peer")]
        self.revisions = [a.name for a in results.allocators if a.kind == "revision"]
        self.stats = {figure: {row.name: self.row_stats(row, figure) for row in results.rows}
                      for figure in FIGURES}

    def row_stats(self, row, figure):
        stats = {}
        for name, cell in self.results.cells[row.name].items():
            values = [sample[figure] for sample in cell.samples if figure in sample]
            if figure == "syscalls" and cell.syscalls is not None:
                values = [cell.syscalls]
            stats[name] = None if cell.lost else stat_of(values)
        return stats

    def stat(self, figure, row, name):
        return self.stats[figure][row.name][name]

    def ratio(self, figure, row, name, base):
        """The quotient of two medians, or None when one is missing or not above 0."""
        one, other = self.stat(figure, row, name), self.stat(figure, row, base)
        if not one or not other or one.median <= 0 or other.median <= 0:
            return None
        return one.median / other.median

    def best_peer(self, figure, row):
        """The allocator with the least median, goalloc's revisions aside."""
        present = [name for name in self.peers if self.stat(figure, row, name)]
        return min(present, key=lambda name: self.stat(figure, row, name).median, default=None)

    def to_best(self, figure, row):
        """goalloc's ratio to the best peer, and who that is."""
        best = self.best_peer(figure, row)
        return (self.ratio(figure, row, "goalloc", best), best) if best else (None, None)

    def counted(self, figure):
        """The rows that every allocator finished: the others count in no mean."""
        return [row for row in self.results.rows
                if all(self.ratio(figure, row, name, name) for name in self.names)]

    def means(self, figure):
        """Per allocator, the geometric mean of its medians' ratios to glibc's."""
        rows = self.counted(figure)
        return {name: geometric_mean([self.ratio(figure, row, name, "glibc") for row in rows])
                for name in self.names}

    def behind(self, figure):
        found = []
        for row in self.results.rows:
            ratio, best = self.to_best(figure, row)
            if ratio and ratio > 1 + EQUAL:
                ours, theirs = self.stat(figure, row, "goalloc"), self.stat(figure, row, best)
                found.append(Behind(row, best, ratio, ours.low <= theirs.high))
        return sorted(found, key=lambda entry: -entry.ratio)

    def lost(self):
        return [(row.name, name, cell.lost) for row in self.results.rows
                for name, cell in self.results.cells[row.name].items() if cell.lost] \
            + self.results.curve_losses

    def pairs(self, figure, revision):
        """Per row, the median of the rounds' ratios of goalloc to another revision of it."""
        ratios = {}
        for row in self.results.rows:
            cells = self.results.cells[row.name]
            ours, theirs = cells["goalloc"], cells[revision]
            quotients = [one[figure] / other[figure]
                         for one, other in zip(ours.samples, theirs.samples)
                         if one[figure] > 0 and other[figure] > 0]
            if quotients and not ours.lost and not theirs.lost:
                ratios[row.name] = stat_of(quotients)
        return ratios

    def curve(self, name, allocator, metric):
        """The medians of a metric along a scaling curve."""
        points = []
        for x, runs in self.results.curves[name][allocator]:
            values = [metrics[metric][0] for metrics in runs if metric in metrics]
            if values:
                points.append((x, statistics.median(values)))
        return points

    def metrics(self, row):
        """What else the row's program reports: {name: (unit, {allocator: median})}."""
        table = {}
        for name, cell in self.results.cells[row.name].items():
            for sample in cell.samples if not cell.lost else []:
                for metric, (value, unit) in sample["metrics"].items():
                    _, values = table.setdefault(metric, (unit, {}))
                    values.setdefault(name, []).append(value)
        return {metric: (unit, {name: statistics.median(all_of) for name, all_of in values.items()})
                for metric, (unit, values) in table.items()}
