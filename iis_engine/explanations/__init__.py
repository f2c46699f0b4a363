"""Per-image explanations of a scored job: contributions, heat maps, and the ONNX export."""
