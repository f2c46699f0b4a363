"""Attacks on the service's promises, with real processes and servers (`make torture`). The test suite has a short version of each."""
