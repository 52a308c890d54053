"""The page of ``textgen-web``: it runs a model in a browser.

The sources of the page are in ``page/``: a template, a style sheet, and ES modules. They depend only on the
npm package in ``runtime/web/``, which runs the C core as WebAssembly.
"""
