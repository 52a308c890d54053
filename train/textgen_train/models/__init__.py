"""Networks as torch modules, one file per architecture, and their losses, dropout and precision.

To add a GRU, write ``models/gru.py`` with the public methods and attributes of ``CharLSTM``. The trainers
call ``initial_state``, ``forward_features``, ``output`` and ``device``. ``loop/replicas.py`` calls ``clone``
and sets ``generator``. Muon trains ``layer_matrices``. The other places to change:

- ``loop/stateful_trainer.py`` creates the network.
- ``export/onnx_graph.py`` needs a writer of the layer's ONNX node, in the table ``_WRITERS``.
- ``export/layer_weights.py`` describes the layer and collects its weights, in the table ``_READERS``, and
  copies weights into it, in the table ``_LOADERS``.
- ``export/model_weights.py`` reads the weights of the layer from a file, in the table ``_READERS``.
- ``recipe.py`` and ``cli/_arguments.py`` need the choice of the cell.
- The runtime and the C core need the layer. ``runtime/core/model.h`` lists these places.
"""
