"""Export of a trained network to a model file: its ONNX graph, and the comparison with torch."""
