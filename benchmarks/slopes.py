"""Growth of the heads' time and memory with n, C, M and k, on synthetic classes, one thread.

`python -m benchmarks.slopes [--figure FILE] [--axes n C M k]` measures h and one library seed's whole curve (`measure_exact`: selection of
strengths, refinement, final heads) in a process of its own at each point. It prints processor seconds, the peak of memory, and the slope of
each on logarithmic axes. Processor seconds of one thread change little beside other programs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.timing import exit_on_signals, machine, timed
from iis_engine import protocols
from iis_engine.features.canonical_order import validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.controls import isotropic
from iis_engine.scoring.exact import measure_exact

CPU = torch.device("cpu")
CENTRE_DEVIATION = 0.15  # of each coordinate of a class's centre; those of its images around it deviate by 1
TEST_SHARE = 0.2
FLOAT_BYTES = 4
MIB = 2**20


@dataclass(frozen=True)
class Point:
    """Sizes of one measurement; k is 0 for the whole curve, else that node alone."""

    n: int = 10_000
    C: int = 10
    M: int = 200
    k: int = 0
    d: int = 512


@dataclass(frozen=True)
class Found:
    """Of one measurement: processor seconds, evaluations of problems, and bytes above those of the features."""

    seconds: float
    evaluations: float
    bytes: int


BASE = Point()
AXES: dict[str, list[Point]] = {
    "n": [replace(BASE, n=n) for n in (1_000, 3_000, 10_000, 30_000, 100_000, 200_000)],
    "C": [replace(BASE, C=classes) for classes in (10, 30, 100, 300, 1_000)],
    "M": [replace(BASE, M=concepts) for concepts in (50, 100, 200, 400)],
    "k": [replace(BASE, k=kept) for kept in (5, 10, 20, 50, 100, 200)],
}


def main() -> None:
    """Measure every point, or the one that a child process is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slopes", description=__doc__)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(Point(**json.loads(options.point))).__dict__))
        return
    exit_on_signals()
    print(machine(), flush=True)
    found: dict[str, list[tuple[Point, Found]]] = {}
    for axis in options.axes:
        found[axis] = [(point, measured(axis, point)) for point in AXES[axis]]
        sizes = [getattr(point, axis) for point, _ in found[axis]]
        for quantity in ("seconds", "bytes"):
            fitted = slope(sizes, [getattr(one, quantity) for _, one in found[axis]])
            print(f"SLOPE {quantity} over {axis} {fitted:.2f}", flush=True)
    if options.figure:
        draw(found).savefig(options.figure, dpi=120)


def measured(axis: str, point: Point) -> Found:
    """Measure a point in a process of its own, whose peak of memory is the point's."""
    command = [sys.executable, "-m", "benchmarks.slopes", "--point", json.dumps(point.__dict__)]
    found = Found(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    of_features = found.bytes / features_bytes(point)
    print(
        f"BENCH slopes_{axis} n={point.n} C={point.C} M={point.M} k={point.k or 'curve'} cpu_s={found.seconds:.2f} "
        f"evaluations={found.evaluations:.0f} MiB={found.bytes / MIB:.0f} of_features={of_features:.2f}",
        flush=True,
    )
    return found


def measure(point: Point) -> Found:
    """Measure one point in this process."""
    torch.set_num_threads(1)
    features = classes(point)
    warm_up = classes(Point(n=500, M=20))
    measure_exact(warm_up, [isotropic(["random"] * 20, point.d, 0)], 0, CPU)
    library = isotropic(["random"] * point.M, point.d, 0)
    before = peak_bytes()
    if point.k:
        data = TrainingRows(features.y_train, validation_rows(features.y_train, protocols.VALIDATION_SHARE, 0), point.C)
        source = Source.of(calibrate(library, features.X_train).apply(library).activations(features.X_train))
        elapsed, solved = timed(lambda: solve_nodes(source, [point.k], data))
        evaluations = float(solved.evaluations)
    else:
        elapsed, found = timed(lambda: measure_exact(features, [library], 0, CPU))
        evaluations = found.solver["evaluations"]
    return Found(elapsed.cpu, evaluations, max(0, peak_bytes() - before))


def classes(point: Point) -> FeatureSet:
    """Gaussian classes with centres of their own."""
    generator = torch.Generator().manual_seed(0)
    centres = CENTRE_DEVIATION * torch.randn(point.C, point.d, generator=generator)

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(n) % point.C
        return torch.randn(n, point.d, generator=generator).add_(centres[y]), y

    return FeatureSet(*draw(point.n), *draw(int(TEST_SHARE * point.n)), tuple(map(str, range(point.C))))


def features_bytes(point: Point) -> int:
    """Bytes of the features of both splits."""
    return FLOAT_BYTES * point.d * int((1 + TEST_SHARE) * point.n)


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Exponent p of the power law values ~ sizes**p, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def draw(found: dict[str, list[tuple[Point, Found]]]) -> Figure:
    """One panel for each axis: processor seconds, and the peak of memory above the features'."""
    figure = Figure(figsize=(3.2 * len(found), 3.2), layout="constrained")
    for panel, (axis, points) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        sizes = [getattr(point, axis) for point, _ in points]
        panel.loglog(sizes, [one.seconds for _, one in points], "o-", color="tab:blue", label="processor seconds")
        memory = panel.twinx()
        memory.loglog(sizes, [max(one.bytes, MIB) / MIB for _, one in points], "s--", color="tab:orange", label="MiB above the features")
        fitted = slope(sizes, [one.seconds for _, one in points])
        panel.set_title(f"{axis}: time ~ {axis}$^{{{fitted:.2f}}}$", fontsize=10)
        panel.set_xlabel(axis)
    lines = [line for axes in figure.axes[-2:] for line in axes.get_lines()]
    figure.legend(lines, [str(line.get_label()) for line in lines], loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    main()
