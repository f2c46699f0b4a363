"""Explanations of images, interventions, profiles and predictors."""
