"""Start, confine, limit and kill the compute process: Landlock, seccomp, resource limits, pipes."""
