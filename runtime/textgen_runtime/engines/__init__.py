"""What runs a model: the core, or onnxruntime."""
