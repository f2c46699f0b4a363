"""The Open Inference Protocol under /v2: predictors of scored jobs as models, from image files to labels and concepts."""
