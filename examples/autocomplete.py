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


BEAMS = 32  # words that one step of the search extends


def complete(model: textgen.Model, text: str, count: int = 5) -> list[str]:
    """Return the likeliest ends of the last word of a text, or the likeliest next words: a beam search."""
    beams = [(1.0, "", model.start(text, unknown="skip"))]
    words: dict[str, float] = {}
    while beams:
        longer = []
        for probability, word, generation in beams:
            tokens = generation.top(len(model.tokenizer))
            in_word = [token for token in tokens if token.text.isalpha() or token.text in "'-"]
            longer += [(probability * token.probability, word + token.text, generation) for token in in_word]
            if word:
                words[word] = probability * (1 - sum(token.probability for token in in_word))
        # An end of a word is as likely as the word at most, and so is each longer word.
        best = sorted(words.values(), reverse=True)[:count]
        least = best[-1] if len(best) == count else 0
        beams = []
        for probability, word, generation in sorted(longer, key=lambda beam: -beam[0])[:BEAMS]:
            if probability > least:
                extended = generation.copy()
                extended.feed(word[-1])
                beams.append((probability, word, extended))
    return sorted(words, key=lambda word: -words[word])[:count]


def suggest(model: textgen.Model, text: str) -> list[str]:
    """Return the text with the likeliest ends of its last word, or with the likeliest next words."""
    try:
        return [text + word for word in complete(model, text[-200:])]
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
