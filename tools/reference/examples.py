#!/usr/bin/env python3
"""Compare the examples `generate` and `embed` with llama.cpp, for `cargo conformance examples`.

    examples.py FOLDER MODEL.gguf...      FOLDER holds the built examples

Models of the architecture `llama` continue five prompts by 32 tokens, greedily, beside llama.cpp as it comes and
without its flash attention, which sums in half precision. With one of the two the tokens must be the same up to a
near tie: where they part, both programs must find their own choice less than TIE ahead of the other's. How near
depends on the weights: quantized ones are multiplied with activations of 8 bits, and a last bit in half precision
that differs decides how those are rounded; llama.cpp's own logits differ by as much between its two forms. With exact
products the tokens must be those without, or one of llama.cpp's two forms, likewise. Models of the architecture `bert`
embed texts; the cosine of both vectors must be at least COSINE. The tokens of TEXTS must be the same. A file with a vocabulary alone, such as those in the folder `models` of llama.cpp's sources, has texts and
their tokens beside it (`.inp`, `.out`, without the tokens that begin and end every text): they must be the same.

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

TOKENS, COSINE = 32, 0.999
TIE, TIE_UNQUANTIZED = 0.5, 0.01

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
    tie = TIE_UNQUANTIZED if all(t.tensor_type.name in ("F32", "F16") for t in GGUFReader(path).tensors) else TIE
    flash = [llama.complete(prompt) for prompt in PROMPTS]
    llama = Llama(path, flash=False)
    plain = [llama.complete(prompt) for prompt in PROMPTS]
    for i, prompt in enumerate(PROMPTS):
        print(f"  {prompt!r}")
        compare_steps("llama.cpp with itself", flash[i][1], plain[i][1], tie)
        theirs = [("with flash attention", flash[i][1]), ("without", plain[i][1])]
        wrong += not compare_with_each(theirs, found[i], tie)
        lines = run(program, path, "--exact", "--prompt", prompt, "--tokens", str(TOKENS), "--logits", "10").splitlines()[1:]
        exact = [parse(line) for line in lines]
        here = [("exact, beside packed weights", found[i])]
        wrong += not compare_with_each(here + [("exact, " + label, steps) for label, steps in theirs], exact, tie)
        same = [(text, steps) for text, steps in (flash[i], plain[i]) if ids(steps) == ids(found[i])]
        if same and len(found[i]) == TOKENS and run(program, path, "--prompt", prompt, "--tokens", str(TOKENS)) != same[0][0] + "\n":
            wrong += 1
            print("    the tokens are the same, the texts differ")
    return wrong


def compare_with_each(references, found, tie):
    """Whether a continuation is the same as one of several up to a near tie."""
    if any([compare_steps(label, expected, found, tie) for label, expected in references]):
        return True
    print("    DIFFERENT")
    return False


def parse(line):
    token, best = line.split(" ", 1)
    return int(token), dict(ast.literal_eval(best))


def ids(steps):
    return [token for token, _ in steps]


def compare_steps(label, expected, found, tie):
    """Whether two continuations are the same up to a near tie."""
    both = list(zip(expected, found))
    at = next((i for i, (a, b) in enumerate(both) if a[0] != b[0]), len(both))
    gaps = [abs(gap(a[1]) - gap(b[1])) for a, b in both[:at]]
    print(f"    {label}: {at} tokens are the same, the gaps between the best two differ by up to {max(gaps, default=0):.3f}")
    if at == len(both):
        return len(expected) == len(found)
    (theirs, expected), (ours, found) = both[at]
    there, here = expected[theirs] - expected.get(ours, -np.inf), found[ours] - found.get(theirs, -np.inf)
    near = there < tie and here < tie
    print(f"      then the first has token {theirs}, {there:.4f} ahead of {ours} ({expected[theirs]:.4f} and {expected.get(ours, np.nan):.4f}), "
          f"the second {ours}, {here:.4f} ahead ({found[ours]:.4f} and {found.get(theirs, np.nan):.4f}): "
          f"{'a near tie' if near else 'no near tie'}", flush=True)
    return near


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


def compare_vocabulary(program, path):
    with open(path + ".inp", encoding="utf-8", newline="") as inputs, open(path + ".out", encoding="utf-8") as outputs:
        texts = inputs.read().split("\n__ggml_vocab_test__\n")
        expected = [[int(token) for token in line.split()] for line in outputs.read().splitlines()]
    pairs = list(zip(texts, expected))  # the last text may be empty and have no line
    texts = [text for text, _ in pairs]
    frame, *found = [ast.literal_eval(line) for line in run(program, path, "--tokens", "--", "", *texts).splitlines()]
    first = int(bool(frame) and all(tokens[:1] == frame[:1] for tokens in found))
    return compare_tokens(texts, [tokens for _, tokens in pairs], [tokens[first:len(tokens) - len(frame) + first] for tokens in found])


COMPARISONS = {"llama": ("generate", compare_generate), "bert": ("embed", compare_embed)}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, models = sys.argv[1], sys.argv[2:]
    wrong = 0
    for path in models:
        architecture = GGUFReader(path).fields["general.architecture"].contents()
        vocabulary = ("embed", compare_vocabulary)
        example, compare = vocabulary if os.path.exists(path + ".inp") else COMPARISONS[architecture]
        print(f"{example} {os.path.basename(path)}", flush=True)
        wrong += compare(os.path.join(folder, example), path)
    sys.exit(f"{wrong} differences" if wrong else None)


if __name__ == "__main__":
    main()
