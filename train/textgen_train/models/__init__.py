"""Networks as torch modules, and their losses, dropout and precision.

A new cell is a subclass of ``CharNetwork`` in ``cells.py``. The trainers and Muon need no change.
``docs/architecture.md`` lists the other places to change, in training and in the runtime.
"""
