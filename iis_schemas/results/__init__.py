"""Results of jobs: reports, curves, plots, fine-tuning and batches of explanations."""
