#!/usr/bin/env python3
"""Compare the examples `generate` and `embed` with llama.cpp, for `cargo conformance examples`.

    examples.py FOLDER MODEL.gguf...      FOLDER holds the built examples

Models of the architecture `llama` continue five prompts by 32 tokens, greedily, beside llama.cpp as it comes and
without its flash attention, which sums in half precision. The tokens must be the same up to a near tie: where they
part, both programs must find their own choice less than TIE ahead of the other's; or llama.cpp must part from itself
no later. Models of the architecture `bert` embed texts; the cosine of both vectors must be at least COSINE. The
tokens of TEXTS must be the same.

Needs the PyPI packages gguf, numpy and xllamacpp (llama.cpp, prebuilt).
"""
import ast
import json
import os
import subprocess
import sys
import urllib.request

import numpy as np
import xllamacpp
from gguf import GGUFReader

TOKENS, TIE, COSINE = 32, 0.25, 0.999

PROMPTS = [
    "The capital of France is",
    "Once upon a time, there was a little",
    "def fibonacci(n):\n    ",
    "The three laws of thermodynamics say that",
    "<|im_start|>user\nWhat is 12 times 7?<|im_end|>\n<|im_start|>assistant\n",
]

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "  It's 1999's   best-known e-mail:\tuser_42@example.org!\n\n\n  Isn't it? I'LL  say\r\nSO ",
    "Ünïcödé naïve café — “quotes” … 12½ ½ ² × π ≈ 3.14159",
    "漢字とかな и кириллица; עברית 👩\u200d🚀 emoji 🎉🎉",
    "fn main() { let x: Vec<u8> = vec![0; 1_000]; println!(\"{x:?}\"); } // $5 + 10% = `?` ^~|<>",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis qwrtzpsdfghjklyxcvbnm",
    "How do I bake bread?",
    "A recipe for a loaf with flour, water, yeast and salt.",
]

# Not for WordPiece: llama.cpp drops all but the first letter of a Hangul syllable, the models' own tokenizers do not.
HANGUL = "한국어 문장입니다."


class Llama:
    """A model in llama.cpp, with one thread."""

    def __init__(self, path, embedding=False, flash=True):
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx, params.warmup, params.cpuparams.n_threads = 512, False, 1
        params.embedding = embedding
        if not flash:
            params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.server = xllamacpp.Server(params)

    def tokens(self, text):
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        request = urllib.request.Request(self.server.listening_address + "/tokenize", body,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    def complete(self, prompt):
        """For each token: its number, and the logarithms of the probabilities of the ten likeliest."""
        answer = self.server.handle_completions({"prompt": prompt, "max_tokens": TOKENS, "temperature": 0.0, "seed": 1,
                                                 "logprobs": 10})
        choice = (json.loads(answer) if isinstance(answer, str) else answer)["choices"][0]
        content = choice["logprobs"]["content"]
        return choice["text"], [(t["id"], {o["id"]: o["logprob"] for o in t["top_logprobs"]}) for t in content]

    def embed(self, text):
        answer = self.server.handle_embeddings({"input": text, "model": "m"})
        answer = json.loads(answer) if isinstance(answer, str) else answer
        return np.array(answer["data"][0]["embedding"])


def run(program, *arguments):
    return subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE).stdout.decode()


def compare_tokens(texts, expected, found):
    different = [i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
    for i in different:
        print(f"  tokens of {texts[i]!r}:\n    llama.cpp {expected[i]}\n    here      {found[i]}")
    print(f"  tokens of {len(texts)} texts: {len(different)} differ")
    return len(different)


def compare_generate(program, path):
    """The number of unexplained differences."""
    texts = PROMPTS + TEXTS + [HANGUL]
    logits = [run(program, path, "--prompt", text, "--tokens", str(TOKENS if i < len(PROMPTS) else 1), "--logits", "10")
              for i, text in enumerate(texts)]
    heads = [ast.literal_eval(lines.split("\n", 1)[0].removeprefix("prompt ")) for lines in logits]
    found = [[parse(line) for line in lines.splitlines()[1:]] for lines in logits]

    llama = Llama(path)
    wrong = compare_tokens(texts, [llama.tokens(text) for text in texts], heads)
    flash = [llama.complete(prompt) for prompt in PROMPTS]
    llama = Llama(path, flash=False)
    plain = [llama.complete(prompt) for prompt in PROMPTS]
    for i, prompt in enumerate(PROMPTS):
        print(f"  {prompt!r}")
        part, _ = compare_steps("llama.cpp with itself", flash[i][1], plain[i][1])
        wrong += compare_steps("with flash attention", flash[i][1], found[i], part)[1]
        wrong += compare_steps("without", plain[i][1], found[i])[1]
        same = [(text, steps) for text, steps in (flash[i], plain[i]) if ids(steps) == ids(found[i])]
        if same and len(found[i]) == TOKENS and run(program, path, "--prompt", prompt, "--tokens", str(TOKENS)) != same[0][0] + "\n":
            wrong += 1
            print("    the tokens are the same, the texts differ")
    return wrong


def parse(line):
    token, best = line.split(" ", 1)
    return int(token), dict(ast.literal_eval(best))


def ids(steps):
    return [token for token, _ in steps]


def compare_steps(label, expected, found, part=None):
    """Where two continuations part, and whether that is neither a near tie nor at `part` or behind it."""
    both = list(zip(expected, found))
    at = next((i for i, (a, b) in enumerate(both) if a[0] != b[0]), len(both))
    gaps = [abs(gap(a[1]) - gap(b[1])) for a, b in both[:at]]
    text = f"    {label}: {at} tokens are the same, gaps between the best two differ by up to {max(gaps, default=0):.3f}"
    wrong = 0
    if at < len(both):
        (theirs, expected), (ours, found) = both[at]
        there, here = expected[theirs] - expected.get(ours, -np.inf), found[ours] - found.get(theirs, -np.inf)
        tie = there < TIE and here < TIE
        wrong = int(not tie and (part is None or at < part))
        text += f"; then {theirs}, ahead of {ours} by {there:.4f} ({expected[theirs]:.4f} and {expected.get(ours, np.nan):.4f}), and " \
                f"{ours}, ahead of {theirs} by {here:.4f} ({found[ours]:.4f} and {found.get(theirs, np.nan):.4f})" \
                f"{': a near tie' if tie else ': UNEXPLAINED' if wrong else ''}"
    elif len(expected) != len(found):
        wrong = 1
        text += f"; then one ends: {len(expected)} and {len(found)} tokens"
    print(text, flush=True)
    return (at if at < len(both) else None), wrong


def gap(best):
    first, second = sorted(best.values(), reverse=True)[:2]
    return first - second


def compare_embed(program, path):
    llama = Llama(path, embedding=True)
    found = [ast.literal_eval(line) for line in run(program, path, "--tokens", *TEXTS).splitlines()]
    wrong = compare_tokens(TEXTS, [llama.tokens(text) for text in TEXTS], found)
    vectors = [ast.literal_eval(line) for line in run(program, path, "--vectors", *TEXTS).splitlines()]
    for text, vector in zip(TEXTS, vectors, strict=True):
        expected, vector = llama.embed(text), np.array(vector)
        cosine = vector @ expected / np.linalg.norm(vector) / np.linalg.norm(expected)
        wrong += not cosine >= COSINE
        print(f"  cosine {cosine:.7f}, length {np.linalg.norm(vector):.6f}, largest difference "
              f"{np.abs(vector - expected).max():.6f}: {text!r}")
    return wrong


COMPARISONS = {"llama": ("generate", compare_generate), "bert": ("embed", compare_embed)}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, models = sys.argv[1], sys.argv[2:]
    wrong = 0
    for path in models:
        architecture = GGUFReader(path).fields["general.architecture"].contents()
        example, compare = COMPARISONS[architecture]
        print(f"{example} {os.path.basename(path)}", flush=True)
        wrong += compare(os.path.join(folder, example), path)
    sys.exit(f"{wrong} differences" if wrong else None)


if __name__ == "__main__":
    main()
