"""A whole curve by the stacked exact solver, by scikit-learn, and by the authors' procedure, on the same features and threads.

Each starts from the features f(x) and M = 200 unit concepts and ends with test accuracies at the paper's eight sparsities.
Ours and scikit-learn choose the L2 strength on the same validation rows, then fit again on all training rows. scikit-learn is timed at
our tolerance (its `tol` bounds the same quantity, the largest gradient entry of the mean loss) and at its default.
No time includes the library or the baseline head h. A CPU line after each BENCH line has processor seconds, which are more reliable where
other programs share the cores.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import TensorDataset

from benchmarks.authors import curve_like_authors
from benchmarks.golden import digit_pixels, golden_features
from benchmarks.timing import print_ratio, timed
from iis_engine import protocols
from iis_engine.backbones.devices import choose_device
from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.heads.sparsify import sparsify
from iis_engine.libraries.build import build_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import kept_count
from iis_engine.specs import LibrarySpec

CONCEPT_COUNT = 200  # M
ROUNDS = 2  # of ours before and as many after the rival, which runs once; medians are printed
ITERATIONS_MAX = 10_000
TRIAL_ITERATIONS = 30
SKLEARN_TOLERANCE = 1e-4  # scikit-learn's default
ONE_RATE = (1e-2,)
NODES = [kept_count(CONCEPT_COUNT, s) for s in protocols.PAPER_SPARSITIES]


@dataclass(frozen=True)
class Problem:
    """Inputs of all three."""

    features: FeatureSet  # in canonical order
    library: ConceptLibrary
    validation: Tensor  # (n,) bool
    device: torch.device


def main(names: Sequence[str]) -> None:
    """Time the given representations, or both."""
    for name in names or ("digits_trained", "cifar_resnet20"):
        features = golden_features(name)
        if features is None and name.startswith("digits"):
            name, features = "digits_pixels", digit_pixels()  # noqa: PLW2901 (the printed line must name what is timed)
        if features is not None:
            compare(name, features, protocols.LEARNING_RATES if name.startswith("digits") else ONE_RATE)


def compare(name: str, features: FeatureSet, rates: Sequence[float]) -> None:
    """Print the lines of one representation.

    Parameters
    ----------
    rates : learning rates of the authors' procedure, which the line names
    """
    device = choose_device()
    features = in_canonical_order(features)
    library = build_library(features, LibrarySpec("prototype", CONCEPT_COUNT), 0, device)
    problem = Problem(features, library, validation_rows(features.y_train, protocols.VALIDATION_SHARE, 0), device)
    train, test = TensorDataset(features.X_train, features.y_train), TensorDataset(features.X_test, features.y_test)
    vectors = library.vectors.to(device)
    threads = torch.get_num_threads()
    with threadpool_limits(threads):
        sklearn_threads = fastest_sklearn_threads(problem, threads)
        print(
            f"THREADS {name} ours {threads} authors {threads} scikit-learn {sklearn_threads}, the faster of 1 and {threads} in a trial",
            flush=True,
        )
        rivals: dict[str, Callable[[], list[float]]] = {
            "sklearn_at_our_tolerance": lambda: with_sklearn(problem, protocols.HEAD_TOLERANCE, sklearn_threads),
            "sklearn_at_its_own_tolerance": lambda: with_sklearn(problem, SKLEARN_TOLERANCE, sklearn_threads),
            f"authors_at_rate{'s' * (len(rates) > 1)}_{'_'.join(f'{rate:g}' for rate in rates)}": lambda: curve_like_authors(
                train, test, vectors, protocols.PAPER_SPARSITIES, rates, features.class_count
            ),
        }
        print_accuracies(name, "ours", with_stack(problem))  # warms up
        for rival, work in rivals.items():
            before = [timed(lambda: with_stack(problem))[0] for _ in range(ROUNDS)]
            rival_time, accuracies = timed(work)
            ours = [*before, *(timed(lambda: with_stack(problem))[0] for _ in range(ROUNDS))]
            line = f"heads_{name}_{device.type}_against_{rival}"
            print_ratio(line, statistics.median(one.wall for one in ours), rival_time.wall)
            print_ratio(line, statistics.median(one.cpu for one in ours), rival_time.cpu, kind="CPU")
            print_accuracies(name, rival, accuracies)


def with_stack(problem: Problem) -> list[float]:
    """Test accuracy at every sparsity, with all sparsities and strengths in one stack."""
    features, device = problem.features, problem.device
    y, validation = features.y_train.to(device), problem.validation.to(device)
    data = TrainingRows(y, validation, features.class_count)
    train, test = (Source.of(problem.library.activations(X.to(device))) for X in (features.X_train, features.X_test))
    solved = solve_nodes(train, NODES, data)
    predicted = [predict(test, kept, solved.weights[i : i + 1]).argmax(dim=2).squeeze(1).cpu() for i, kept in enumerate(NODES)]
    return [float((labels == features.y_test).float().mean()) for labels in predicted]


def fastest_sklearn_threads(problem: Problem, threads: int) -> int:
    """All threads, or one where that is faster.

    OpenBLAS threads spin while they wait: on shared cores two threads have taken sixteen times as long as one.
    """
    A, y = problem.library.activations(problem.features.X_train).numpy(), problem.features.y_train.numpy()
    seconds: dict[int, float] = {}
    for count in {1, threads}:
        with threadpool_limits(count), catch_warnings():
            simplefilter("ignore", ConvergenceWarning)
            seconds[count] = timed(lambda: _fit(A, y, protocols.L2_STRENGTHS[0], SKLEARN_TOLERANCE, TRIAL_ITERATIONS))[0].wall
    return min(seconds, key=seconds.__getitem__)


def with_sklearn(problem: Problem, tolerance: float, threads: int) -> list[float]:
    """Test accuracy at every sparsity: one LogisticRegression per strength, and one more on all training rows."""
    with threadpool_limits(threads):
        return _with_sklearn(problem, tolerance)


def _with_sklearn(problem: Problem, tolerance: float) -> list[float]:
    features = problem.features
    train, test = (problem.library.activations(X) for X in (features.X_train, features.X_test))
    y, y_test, validation = features.y_train.numpy(), features.y_test.numpy(), problem.validation.numpy()
    accuracies: list[float] = []
    for kept in NODES:
        A, A_test = sparsify(train, kept).numpy(), sparsify(test, kept).numpy()
        losses: list[float] = []
        for strength in protocols.L2_STRENGTHS:
            head = _fit(A[~validation], y[~validation], strength, tolerance)
            losses.append(log_loss(y[validation], head.predict_proba(A[validation]), labels=head.classes_))
        best = protocols.L2_STRENGTHS[int(np.argmin(losses))]
        accuracies.append(float(_fit(A, y, best, tolerance).score(A_test, y_test)))
    return accuracies


def _fit(
    A: NDArray[np.float32], y: NDArray[np.int64], strength: float, tolerance: float, iterations: int = ITERATIONS_MAX
) -> LogisticRegression:
    """Minimise mean cross-entropy + strength/2 ‖W‖², which in scikit-learn is C = 1 / (n · strength)."""
    return LogisticRegression(C=1 / (len(y) * strength), tol=tolerance, max_iter=iterations).fit(A, y)


def print_accuracies(name: str, solver: str, accuracies: Sequence[float]) -> None:
    """Print accuracies, which show whether the timed solvers reach the same result."""
    print(f"ACCURACY {name} {solver} {' '.join(f'{accuracy:.4f}' for accuracy in accuracies)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
