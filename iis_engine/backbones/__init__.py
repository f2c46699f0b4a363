"""Backbones f: one interface, a factory, and a loader for each family of networks (timm, torchvision, open_clip, ONNX)."""
