"""Products with g_s of many groups at once: activation matrices masked by rank, in blocks of bounded size.

A group is one source matrix with one number of kept concepts. Sparsified matrices are held for all rows only where all of them
together fit a fixed budget; otherwise each is computed anew, range by range, for every product.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from iis_engine.heads.sparsify import magnitude_ranks

BLOCK_ELEMENTS = 1 << 24  # of sparsified activations, or of logits, held at once: bounds memory for any n
ROWS_AT_ONCE = 1 << 15  # ranked, copied or standardised at once: bounds temporary memory
COMPRESS_BELOW = 8  # on a CPU, rows that keep at most 1 / 8 of their concepts are multiplied as sparse matrices


@dataclass(frozen=True)
class Source:
    """One activation matrix and, where it is thresholded, the rank of each activation within its row.

    Attributes
    ----------
    activations : (n, M) float32
    ranks : (n, M) whole numbers as float32, which vectorises; None for a matrix that is never thresholded
    """

    activations: Tensor
    ranks: Tensor | None

    @staticmethod
    def of(activations: Tensor) -> Source:
        """A source to be thresholded."""
        return Source(activations, torch.cat([magnitude_ranks(rows).float() for rows in activations.split(ROWS_AT_ONCE)]))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows n, and of columns M."""
        return self.activations.shape[0], self.activations.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of what `rows` returns."""
        return self.activations.device

    def rows(self, start: int, stop: int, kept: int, step: int = 1) -> Tensor:
        """g_s of every `step`-th of a range of rows: (rows, M), all but the `kept` largest magnitudes zeroed."""
        part = self.activations[start:stop:step]
        if self.ranks is None or kept >= part.shape[1]:
            return part
        # 1 where the rank is below `kept`, else 0; four times as fast as a comparison and a selection.
        return (kept - self.ranks[start:stop:step]).clamp_(0, 1).mul_(part)

    def where(self, mask: Tensor) -> Source:
        """The rows that `mask` (n,) marks."""
        return Source(self.activations[mask], None if self.ranks is None else self.ranks[mask])


@dataclass(frozen=True)
class Group:
    """Problems on one sparsified matrix: the place of its source, the number of kept concepts, and the L2 strengths."""

    source: int
    kept: int
    strengths: tuple[float, ...]


class Block(Protocol):
    """The sparsified matrices of g groups over one range of r rows."""

    def times(self, weights: Tensor) -> Tensor:
        """(g, N, M) weights to (g, N, r) products."""
        ...

    def transposed_times(self, residual: Tensor) -> Tensor:
        """(g, N, r) to (g, N, M)."""
        ...

    def keep(self, chosen: Sequence[int]) -> Block:
        """A block of the chosen groups alone."""
        ...


@dataclass(frozen=True)
class DenseBlock(Block):
    """Sparsified matrices (g, r, M) as they are."""

    matrices: Tensor

    def times(self, weights: Tensor) -> Tensor:
        return torch.bmm(weights, self.matrices.transpose(1, 2))

    def transposed_times(self, residual: Tensor) -> Tensor:
        return torch.bmm(residual, self.matrices)

    def keep(self, chosen: Sequence[int]) -> DenseBlock:
        return DenseBlock(self.matrices[list(chosen)])


class SparseBlock(Block):
    """Compressed sparse rows of all groups as one block-diagonal matrix, and the same of their transposes."""

    def __init__(self, compressed: Sequence[Tensor], transposed: Sequence[Tensor]) -> None:
        self.compressed = list(compressed)
        self.transposed = list(transposed)
        self.group_count = len(self.compressed)
        self.shape = self.compressed[0].shape
        self._matrix = _block_diagonal(self.compressed)
        self._transposed = _block_diagonal(self.transposed)

    @staticmethod
    def of(matrices: Iterator[Tensor]) -> SparseBlock:
        """Compress dense matrices (r, M), one at a time."""
        pairs = [(_compress(matrix), _compress(matrix.T.contiguous())) for matrix in matrices]
        return SparseBlock([pair[0] for pair in pairs], [pair[1] for pair in pairs])

    def times(self, weights: Tensor) -> Tensor:
        return self._multiply(self._matrix, weights)

    def transposed_times(self, residual: Tensor) -> Tensor:
        return self._multiply(self._transposed, residual)

    def _multiply(self, matrix: Tensor, right: Tensor) -> Tensor:
        columns = right.shape[1]
        product = matrix @ right.transpose(1, 2).reshape(-1, columns)
        return product.view(self.group_count, -1, columns).transpose(1, 2).contiguous()

    def keep(self, chosen: Sequence[int]) -> SparseBlock:
        return SparseBlock([self.compressed[i] for i in chosen], [self.transposed[i] for i in chosen])


def _compress(matrix: Tensor) -> Tensor:
    """Compressed sparse rows with 32-bit indices, which the CPU's sparse kernels prefer."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        rows = matrix.to_sparse_csr()
        return _csr(rows.crow_indices().int(), rows.col_indices().int(), rows.values(), (matrix.shape[0], matrix.shape[1]))


def _csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.sparse_csr_tensor(starts, columns, values, size=shape, check_invariants=False)


def _block_diagonal(parts: Sequence[Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    rows, columns = parts[0].shape
    starts, places, before = [parts[0].crow_indices()[:1]], [], 0
    for number, part in enumerate(parts):
        starts.append(part.crow_indices()[1:] + before)
        places.append(part.col_indices() + number * columns)
        before += part.values().numel()
    values = torch.cat([part.values() for part in parts])
    return _csr(torch.cat(starts), torch.cat(places), values, (rows * len(parts), columns * len(parts)))


def rows_per_block(groups: int, concept_count: int, columns: int) -> int:
    """Rows of one block of `groups` matrices with M concepts, each multiplied with at most `columns` columns."""
    return max(1, BLOCK_ELEMENTS // (groups * max(concept_count, columns)))


class Blocks:
    """The sparsified matrices of the unfinished groups, in blocks.

    Parameters
    ----------
    sources : matrices (n, M), all of one shape
    columns : most columns that one group is multiplied with
    """

    def __init__(self, sources: Sequence[Source], groups: Sequence[Group], columns: int) -> None:
        self.sources = sources
        self.groups = tuple(groups)
        n, concept_count = sources[0].shape
        rows = rows_per_block(len(groups), concept_count, columns)
        self.ranges = [(start, min(start + rows, n)) for start in range(0, n, rows)]
        on_cpu = sources[0].device.type == "cpu"
        self.sparse = [on_cpu and sources[g.source].ranks is not None and g.kept * COMPRESS_BELOW <= concept_count for g in groups]
        self.order = sorted(range(len(groups)), key=self.sparse.__getitem__)  # places of the groups: dense ones first
        self.dense_count = len(groups) - sum(self.sparse)
        self._kept: dict[tuple[int, bool], Block] = {}

    def keep(self, chosen: Sequence[int]) -> None:
        """Drop all groups but the chosen ones; numbers are those of the constructor."""
        wanted = set(chosen)
        places = [place for place, group in enumerate(self.order) if group in wanted]
        dense = [place for place in places if place < self.dense_count]
        sparse = [place - self.dense_count for place in places if place >= self.dense_count]
        self._kept = {
            (number, is_sparse): block.keep(sparse if is_sparse else dense)
            for (number, is_sparse), block in self._kept.items()
            if (sparse if is_sparse else dense)
        }
        self.order = [self.order[place] for place in places]
        self.dense_count = len(dense)

    def __iter__(self) -> Iterator[tuple[slice, slice, Block]]:
        """Groups (as places in `order`), rows, and the block: for each range of rows the dense groups, then the sparse ones."""
        for number, (start, stop) in enumerate(self.ranges):
            if self.dense_count:
                yield slice(0, self.dense_count), slice(start, stop), self._dense(number, start, stop)
            if self.dense_count < len(self.order):
                yield slice(self.dense_count, len(self.order)), slice(start, stop), self._sparse(number, start, stop)

    def _dense(self, number: int, start: int, stop: int) -> Block:
        if (block := self._kept.get((number, False))) is not None:
            return block
        block = DenseBlock(torch.stack([self._matrix(place, start, stop) for place in range(self.dense_count)]))
        if len(self.ranges) == 1:  # within the budget: held until a group is finished
            self._kept[number, False] = block
        return block

    def _sparse(self, number: int, start: int, stop: int) -> Block:
        """Held for all ranges: the groups that keep few concepts together hold about as many numbers as one source."""
        if (number, True) not in self._kept:
            places = range(self.dense_count, len(self.order))
            self._kept[number, True] = SparseBlock.of(self._matrix(place, start, stop) for place in places)
        return self._kept[number, True]

    def sample(self, place: int, step: int) -> Tensor:
        """Every `step`-th row of the group at one place, dense."""
        return self._matrix(place, 0, self.sources[0].shape[0], step)

    def _matrix(self, place: int, start: int, stop: int, step: int = 1) -> Tensor:
        group = self.groups[self.order[place]]
        return self.sources[group.source].rows(start, stop, group.kept, step)
