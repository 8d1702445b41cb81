"""Change ONNX graphs: add nodes and constants, leave out what an output does not need."""
