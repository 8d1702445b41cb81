"""Keras networks: the backbones, where they can be cut, their weights and their ONNX graph."""
