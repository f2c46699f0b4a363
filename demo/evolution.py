"""Write the inputs of docs/studies/digits_evolution.yaml: `python -m demo.evolution`. Uses demo.checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STEPS_SAVED = (0, 7, 14, 21, 28, 42, 70, 112, 224, 420)  # 14 steps per epoch; 0 is the untrained network


def run(
    folder: Annotated[Path, typer.Argument(help="Folder for images and checkpoints.")] = Path("demo-output/evolution"),
) -> None:
    """Write scikit-learn's digits as class folders, and ten checkpoints of one training run."""
    from demo.checkpoints import ARCHITECTURE, train_checkpoints, write_digits

    write_digits(folder / "digits")
    checkpoints = train_checkpoints(folder / "checkpoints", STEPS_SAVED)
    typer.echo(f"Wrote the digits to {folder / 'digits'} and {len(checkpoints)} checkpoints of {ARCHITECTURE} to {folder / 'checkpoints'}.")


if __name__ == "__main__":
    typer.run(run)
