"""Log scores to experiment trackers: MLflow and Weights & Biases, each by its own library, which is imported on use.

It works on the dictionaries that engine and service share, so that reports of both are logged in the same form.
"""
