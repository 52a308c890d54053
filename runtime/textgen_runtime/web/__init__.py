"""The page of ``textgen-web``: it runs a model in a browser.

``make web`` writes ``page.html`` from its sources in ``runtime/web/page/``, with the npm package, which runs
the C core as WebAssembly.
"""
