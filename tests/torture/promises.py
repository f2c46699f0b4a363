"""A promise of the service, with counts of attacks and failures. `__main__` prints them as a table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Promise:
    """A sentence that must be true after every attack.

    Attributes
    ----------
    attempts : number of attacks
    broken : a sentence for each attack after which the promise did not hold
    measured : figures for the table
    """

    sentence: str
    attempts: int = 0
    broken: list[str] = field(default_factory=list[str])
    measured: str = ""

    @property
    def survived(self) -> int:
        return self.attempts - len(self.broken)

    def record(self, held: bool, failure: str) -> bool:
        """Count one attack, and `failure` where the promise did not hold. Returns `held`."""
        self.attempts += 1
        if not held:
            self.broken.append(failure)
        return held
