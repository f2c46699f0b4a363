"""Demos that train small networks and score them: `python -m demo` and `python -m demo.evolution`."""
