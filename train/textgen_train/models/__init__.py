"""Networks as torch modules, one file per cell, and their losses, dropout and precision.

To add a cell, write a module like ``conv.py`` with a subclass of ``CharNetwork``, and add it to ``CELLS`` in
``cells.py``. The trainers and Muon need no change. The other places to change:

- ``export/layer_nodes.py`` needs a writer of the layer's ONNX nodes, in the table ``WRITERS``.
- ``export/layer_weights.py`` describes the layer in the table ``LAYERS``, and names its parameters in the
  table ``PARAMETERS``.
- ``export/model_weights.py`` reads the weights of the layer from a file, in the table ``_READERS``.
- ``presets.py`` needs the sizes of the presets.
- The runtime and the C core need the layer. ``runtime/core/model.h`` lists these places.
"""
