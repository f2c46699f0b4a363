"""Queries in the parent: receive, dispatch to a confined process, answer."""
