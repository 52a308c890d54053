"""Model files: find them, and describe what they contain. The C core reads and checks them.

``source`` finds a file or a model of the package, and reads its content. ``metadata`` converts the vocabulary
and the other metadata. ``network`` describes the layers.
"""
