"""The HTTP server of ``textgen-serve``: one model, and many texts that advance together.

Two threads share the work. The event loop's thread speaks HTTP: it reads requests and writes responses. The
thread of ``worker.py`` owns the batch: it feeds prompts and generates chunks. The event loop sends it orders
through a queue. It returns the updates of all texts in one call of the event loop per chunk.

A request passes through ``app.py`` (id, origin, key, route, body), ``requests.py`` (fields), ``worker.py``
(texts) and ``responses.py`` (JSON and events). ``running.py`` has the socket, the signals and the end.
"""
