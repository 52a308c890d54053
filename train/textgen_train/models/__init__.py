"""Networks as torch modules, and their losses, dropout and precision.

A new cell is a subclass of ``CharNetwork`` in ``cells.py``. The trainer and Muon need no change.
``docs/architecture.md`` lists the other places to change, in training and in the runtime.
"""
