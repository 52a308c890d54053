"""The commands of the runtime, such as ``textgen-run``: one module each, and those that they share.

To add a command, write a module here with ``parser`` and ``main``, as in ``info.py``. Start it in
``textgen_launcher.py`` and in ``[project.scripts]`` of ``pyproject.toml``. Add it to ``COMMANDS`` in
``tests/project/test_architecture.py``, and its directive ``command-help`` to a page of ``docs``.
"""
