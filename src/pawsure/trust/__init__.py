"""When an answer can be believed: calibration, "unsure", "neither", and the same as ONNX nodes.

`fit` fits all of it on the outputs of a graph, after training and after an export alike; `rule`
turns numbers into a label, "unsure" or "neither", and is the only place that does.
"""
