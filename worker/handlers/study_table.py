"""Write a study's rows, one per finished job, as a Parquet table. `app.db.study_rows` reads them from the database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from worker.sandbox.messages import JsonObject

_POINT = pa.struct([("sparsity", pa.float64()), ("kept", pa.int32()), ("accuracy", pa.float64()), ("arr", pa.float64())])
_WITH_INTERVAL = (
    *("accuracy", "iis", "few_concepts_mean", "iis_isotropic", "iis_matched"),
    *("gain_isotropic", "gain_matched", "few_gain_isotropic", "few_gain_matched", "iis_chance_corrected", "iis_log"),
)
_PANEL = (
    *("balanced_accuracy", "balanced_iis", "balanced_few_mean", "concepts_used", "overlap", "positive_share"),
    *("effective_rank", "effective_rank_matched", "mono_score", "mono_score_matched", "class_purity", "class_purity_matched"),
    *("stability", "selectivity", "anec", "anec_matched", "ncc"),
)
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("job", "model", "label", "family")),
        ("given_accuracy", pa.float64()),
        ("epoch", pa.float64()),
        ("architecture", pa.string()),
        ("network", pa.string()),
        ("untrained", pa.bool_()),
        *((name, pa.string()) for name in ("dataset", "dataset_name", "library")),
        ("concept_count", pa.int32()),
        *((name, pa.string()) for name in ("library_dataset", "library_dataset_name")),
        ("seed", pa.int64()),
        ("protocol", pa.string()),
        ("edition", pa.int32()),
        ("quantity", pa.string()),
        ("verdict", pa.string()),
        *((f"{name}{end}", pa.float64()) for name in _WITH_INTERVAL for end in ("", "_low", "_high")),
        *((name, pa.float64()) for name in _PANEL),
        ("chance", pa.float64()),
        ("near_chance", pa.bool_()),
        ("points", pa.list_(_POINT)),
    ]
)


def write_study_table(rows: Sequence[JsonObject], path: Path) -> None:
    """Write the rows in their order; the column `points` has each curve as a list of structures."""
    names = [field.name for field in _POINT]
    table_rows = [row | {"points": [dict(zip(names, point, strict=True)) for point in row["points"]]} for row in rows]
    pq.write_table(pa.Table.from_pylist(table_rows, schema=SCHEMA), path, compression="zstd")
