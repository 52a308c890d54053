"""Engines run a model: they compute logits and the next state from tokens and a state.

``base`` states what an engine must implement. ``native`` is the default engine, on the C core.
``onnxruntime`` runs any graph with suitable inputs and outputs. ``opening`` chooses between them.
"""
