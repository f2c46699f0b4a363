"""One promise and how often it was attacked. What the attacks are lives in the other modules; the table is drawn by `__main__`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Promise:
    """A sentence that must hold under every attempt to break it."""

    sentence: str
    attempts: int = 0
    broken: list[str] = field(default_factory=list[str])  # what happened instead, one sentence an attempt
    measured: str = ""  # what was measured on the way, for people to read

    @property
    def survived(self) -> int:
        return self.attempts - len(self.broken)

    def tried(self, held: bool, otherwise: str) -> bool:
        """Count one attempt; `otherwise` says what happened when the promise did not hold. Returns `held`."""
        self.attempts += 1
        if not held:
            self.broken.append(otherwise)
        return held
