"""Scores: protocols, the ARR curve, IIS and the predictor that is kept."""
