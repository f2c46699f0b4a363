"""What docs/studies/digits_evolution.yaml scores: `python -m demo.evolution`. How it is made is in demo.checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STEPS_SAVED = (0, 7, 14, 21, 28, 42, 70, 112, 224, 420)  # 14 to an epoch; 0 is the untrained start


def run(
    folder: Annotated[Path, typer.Argument(help="Where images and checkpoints go.")] = Path("demo-output/evolution"),
) -> None:
    """Write scikit-learn's digits as class folders, and one small network at ten moments of its training."""
    from demo.checkpoints import ARCHITECTURE, train_checkpoints, write_digits

    write_digits(folder / "digits")
    checkpoints = train_checkpoints(folder / "checkpoints", STEPS_SAVED)
    typer.echo(f"Wrote the digits to {folder / 'digits'}, and {ARCHITECTURE} at {len(checkpoints)} moments to {folder / 'checkpoints'}.")


if __name__ == "__main__":
    typer.run(run)
