"""Servers, stacks, database rows and input files that the tests of several folders build alike. Fixtures are in the conftest files."""
