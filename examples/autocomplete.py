"""A web page whose text field completes words: python examples/autocomplete.py nietzsche 8080."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import textgen_runtime as textgen

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Autocomplete</title>
<label>Write: <input id="field" list="texts" size="60" autocomplete="off" autofocus></label>
<datalist id="texts"></datalist><script>field.oninput = async () => {
  const answer = await fetch("/?" + encodeURIComponent(field.value));
  texts.replaceChildren(...(await answer.json()).map(text => new Option(text)));
}</script>"""


def suggest(model: textgen.Model, text: str) -> list[str]:
    """Return the text with the likeliest ends of its last word, or with the likeliest next words."""
    try:
        return [text + completion.text for completion in model.complete(text[-200:], unknown="skip")]
    except textgen.PromptError:  # the text has no character that the model knows
        return []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        _, separator, text = self.path.partition("?")
        content = json.dumps(suggest(MODEL, unquote(text))) if separator else PAGE
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if separator else "text/html")
        self.end_headers()
        self.wfile.write(content.encode())


if __name__ == "__main__":
    MODEL = textgen.load(sys.argv[1] if len(sys.argv) == 3 else sys.exit(__doc__))
    print(f"http://127.0.0.1:{sys.argv[2]}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
