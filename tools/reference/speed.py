#!/usr/bin/env python3
"""Tokens a second of llama.cpp, for `cargo xtask bench infer`.

    speed.py MODEL.gguf [--threads 1] [--prompt 512] [--tokens 64] [--rounds 1]

Prints a line for each round, as the example `speed` of granule-infer does: tokens a second of a prompt, which is one
batch, then of generation after it. One round before the first is not counted. Needs what `logits.py compare` needs for
llama.cpp.
"""
import argparse
import time

from logits import llama_cpp


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name, default in [("threads", 1), ("prompt", 512), ("tokens", 64), ("rounds", 1)]:
        parser.add_argument("--" + name, type=int, default=default)
    arguments = parser.parse_args()
    lib = llama_cpp()
    quiet = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(quiet, None)
    model = lib.llama_model_load_from_file(arguments.model.encode(), lib.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp cannot load {arguments.model}")
    params = lib.llama_context_default_params()
    params.n_ctx = arguments.prompt + arguments.tokens
    params.n_batch = params.n_ubatch = arguments.prompt
    params.n_threads = params.n_threads_batch = arguments.threads
    context = lib.llama_init_from_model(model, params)
    vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    tokens = [i * 7919 % vocabulary for i in range(arguments.prompt)]
    batch = lib.llama_batch_init(arguments.prompt, 0, 1)

    def decode(tokens, first):
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, first + i, i + 1 == len(tokens)
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if lib.llama_decode(context, batch) != 0:
            raise SystemExit("llama_decode failed")
        lib.llama_get_logits(context)  # waits

    for round_ in range(arguments.rounds + 1):
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        start = time.perf_counter()
        decode(tokens, 0)
        read = len(tokens) / (time.perf_counter() - start)
        start = time.perf_counter()
        for i in range(arguments.tokens):
            decode([tokens[i % len(tokens)]], arguments.prompt + i)
        if round_:
            print(f"{read:.1f} {arguments.tokens / (time.perf_counter() - start):.1f}", flush=True)


if __name__ == "__main__":
    main()
