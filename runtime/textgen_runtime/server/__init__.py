"""The HTTP server of ``textgen-serve``: one model, and many texts that advance together.

Two threads share the work. The event loop's thread speaks HTTP: it parses requests and writes responses. The
thread of ``worker.py`` owns the batch: it feeds prompts and generates chunks. The event loop sends it orders
through a queue. It returns the updates of all texts in one call of the event loop per chunk.

A request passes through the modules in this order:

- ``connections.py`` (slow and large requests), ``request_ids.py``, ``metrics.py``, ``app.py`` (origin, key
  and route);
- ``completions.py`` (what all endpoints share), ``fields.py`` (the types of fields, and unknown ones),
  ``completion_request.py`` and ``sampling_fields.py`` (the fields that all have), ``text_completions.py`` or
  ``chat_completions.py`` (the fields of one);
- ``preparation.py`` (the texts), ``scheduler.py`` (the queue), ``worker.py`` and ``text.py`` (the
  generation);
- ``completion_writer.py`` (the JSON of all), ``text_completions.py`` or ``chat_completions.py`` (the JSON of
  one).
"""
