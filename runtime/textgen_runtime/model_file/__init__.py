"""Model files: find them, read them, and check their graph and metadata.

``source`` finds a file or a model of the package, and reads its content. ``reader`` reads the ONNX format,
and checks the graph and the metadata, with the C core. ``metadata`` converts the vocabulary and the other
metadata. ``network`` describes the layers.
"""
