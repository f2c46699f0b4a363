"""Concept libraries: one module a kind, `build` chooses among them. The Text library of the paper will stand here beside the others."""
