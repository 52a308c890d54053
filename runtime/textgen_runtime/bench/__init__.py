"""The measurements of ``textgen-bench``: one function per section of the report."""
