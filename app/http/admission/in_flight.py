"""Count what is in flight, in all and for each client, and refuse what exceeds a bound: requests, waiting requests, bytes of bodies."""

from __future__ import annotations

from collections import Counter


class InFlight:
    """Bounded amounts of one kind.

    Parameters
    ----------
    total_max : of all clients
    client_max : of one client
    guaranteed : amount that a client may have although `total_max` is reached, up to twice `total_max`; 0 for none
    """

    def __init__(self, total_max: int, client_max: int, guaranteed: int = 0) -> None:
        self._total_max = total_max
        self._client_max = client_max
        self._guaranteed = guaranteed
        self._total = 0
        self._of_client = Counter[str]()

    def add(self, client: str, amount: int = 1) -> bool:
        """Add to a client's amount; False, and nothing is added, beyond a bound."""
        if not self.has_room(client, amount):
            return False
        self._of_client[client] += amount
        self._total += amount
        return True

    def has_room(self, client: str, amount: int = 1) -> bool:
        """Whether `add` would add."""
        own = self._of_client.get(client, 0) + amount
        most = 2 * self._total_max if own <= self._guaranteed else self._total_max
        return own <= self._client_max and self._total + amount <= most

    def readd(self, client: str, amount: int = 1) -> None:
        """Add what was removed for a while, whatever the bounds."""
        self._of_client[client] += amount
        self._total += amount

    def remove(self, client: str, amount: int = 1) -> None:
        """Take from a client's amount."""
        self._total -= amount
        self._of_client[client] -= amount
        if not self._of_client[client]:
            del self._of_client[client]
