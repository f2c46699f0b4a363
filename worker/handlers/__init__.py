"""Query handlers of the confined process: explanations, predictions, figures and study statistics."""
