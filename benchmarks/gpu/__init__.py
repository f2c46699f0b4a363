"""Checks and figures of the engine on a GPU, in one run of at most eight minutes: `python -m benchmarks.gpu`.

It needs torch, timm, numpy, safetensors and this checkout; an item that needs another package says so where that is missing.
"""
