"""The outputs of a frozen prefix, computed once in ONNX Runtime and kept on disk."""
