"""The wall around the confined process: Landlock, seccomp, resource limits, pipes."""
