"""One job on several workers: tasks of a stage, workers that help, and stages side by side."""
