"""ONNX networks: checked files, the graph cut at its representation, onnxruntime sessions, and the backbone."""
