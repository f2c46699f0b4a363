"""Capacity of one API process: how much of each kind may be in flight, and the slots of each kind of work."""

from __future__ import annotations

from app.http.admission.in_flight import InFlight
from app.http.admission.slots import Slots
from app.http.admission.unknown_clients import UnknownClients
from app.http.shutdown import Shutdown
from app.settings import MIB, Settings

GUARANTEED_REQUESTS = 4  # of each client, although the process is full
HEAVY_SLOTS = 1  # more would share one core, and delay the event loop
STORAGE_SLOTS, STORAGE_CLIENT_SLOTS = 8, 4
MEMORY_BODY_BYTES, MEMORY_BODY_CLIENT_BYTES = 96 * MIB, 48 * MIB
OTHER_CONNECTIONS = 4  # key look-ups, readiness, metrics, one to spare

HEAVY_ROUTES = frozenset(
    {
        ("GET", "/v1/leaderboard"),
        ("POST", "/v1/studies"),
        ("POST", "/v1/studies/estimate"),
        ("POST", "/v1/studies/{study_id}/extend"),
        ("GET", "/v1/studies/{study_id}/table"),
        ("GET", "/v1/studies/{study_id}/table.csv"),
        ("POST", "/v1/concept-sets"),
        ("POST", "/v1/concept-sets/{concept_set_id}/versions"),
        ("GET", "/v1/concept-sets/{concept_set_id}/versions/{number}/download"),
    }
)
"""Routes that compute for up to seconds: they run in a thread with an event loop of its own, one at a time."""
STORAGE_ROUTES = frozenset(
    {
        ("POST", "/v1/uploads/small"),
        ("POST", "/v1/uploads/{upload_id}/complete"),
        ("PUT", "/v1/uploads/{upload_id}/parts/{number}"),
        ("DELETE", "/v1/uploads/{upload_id}"),
    }
)
"""Routes whose transaction lasts as long as storage takes."""


class Capacity:
    """Bounds and slots of one API process, and its end."""

    def __init__(self, settings: Settings) -> None:
        self.shutdown = Shutdown()
        self.requests = InFlight(settings.requests_max, settings.client_requests_max, GUARANTEED_REQUESTS)
        self.unknown_clients = UnknownClients()
        self.waits = InFlight(settings.waiting_requests_max, settings.client_waiting_requests_max)
        self.memory_bodies = InFlight(MEMORY_BODY_BYTES, MEMORY_BODY_CLIENT_BYTES)
        self.stored_bodies = InFlight(settings.body_bytes_max, settings.client_body_bytes_max)
        self.slots = Slots(settings.database_pool_size, max(1, settings.database_pool_size // 2))
        self.heavy_slots = Slots(HEAVY_SLOTS, HEAVY_SLOTS)
        self.storage_slots = Slots(STORAGE_SLOTS, STORAGE_CLIENT_SLOTS)

    def slots_of(self, method: str, route: str) -> Slots:
        """Slots of the work of a route."""
        if (method, route) in HEAVY_ROUTES:
            return self.heavy_slots
        return self.storage_slots if (method, route) in STORAGE_ROUTES else self.slots


def connections_needed(settings: Settings) -> int:
    """Database connections that a process may use at once."""
    return settings.database_pool_size + HEAVY_SLOTS + STORAGE_SLOTS + OTHER_CONNECTIONS
