#!/usr/bin/env python3
"""Logits of the reference: for the fixtures, and for `cargo conformance logits`.

    logits.py fixtures [NAME ...]          write fixtures/logits for cases of fixtures/descriptions
    logits.py compare PROGRAM GRANULE MODEL ...

`fixtures` runs each case with transformers in double precision, on weights that follow from the names of its tensors.

`compare` runs TOKENS random tokens through models: GGUF files, and folders of checkpoints, which GRANULE converts to F32.
PROGRAM is the built example `logits`. Each model is compared with llama.cpp, as it comes and with keys and values in
single precision (without flash attention), and each checkpoint with transformers in double precision, which is told what
programs assume (assumed.py). The figures are the mean Kullback-Leibler divergence of a token and how often the likeliest
token is the same; for encoders, the largest difference relative to the largest number, whose square is compared with the
bounds. These are LLAMA_CPP, because it usually keeps keys and values in half precision, and TRANSFORMERS. Exit code 1 if
one is passed.

Needs torch and transformers 4.57.6. llama.cpp needs the variable GRANULE_REFERENCE (the folder of its libraries, see the
head of blocks.py) and LLAMA_CPP_PYTHON, an unpacked source package of llama-cpp-python, for its declarations.
"""
import ctypes
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np

from assumed import CONFIGS, MODELS

ROOT = Path(__file__).resolve().parents[2]
CASES, FIXTURES = ROOT / "fixtures" / "descriptions", ROOT / "fixtures" / "logits"
SEED, TOKENS = 1, 64
LLAMA_CPP, TRANSFORMERS = 2e-5, 1e-9

# The cases that have a fixture.
NAMES = [
    "arcee", "bert", "bloom", "cohere2", "command-r", "deepseek-v3", "distilbert", "dots1", "ernie", "ernie-moe",
    "falcon-40b", "falcon-7b", "falcon-mamba", "gemma", "gemma2", "gemma3", "glm", "glm4", "glm4-moe", "gpt-oss",
    "gpt2", "gptneox", "granite", "granite-hybrid", "granite-moe", "granite-shared", "hunyuan", "jamba", "lfm2",
    "llama", "llama4", "mamba", "mamba2", "mistral", "mixtral", "mpt", "nemotron", "olmo", "olmo2", "olmo3",
    "olmoe", "phi2", "phi3", "phi3-long", "qwen2", "qwen2-moe", "qwen3", "qwen3-moe", "qwen3-next", "roberta",
    "seed-oss", "smollm3", "stablelm", "starcoder", "starcoder2", "t5-encoder",
]
# The largest difference that the test allows, in units of the largest logit. Some routers of transformers only compute
# in single precision; and for Gemma in half precision, the converter adds 1 to the weights of norms in that precision.
BOUND, BOUNDS = 2e-5, {"deepseek-v3": 1e-4, "dots1": 1e-4, "ernie-moe": 1e-4, "gemma": 5e-4, "gemma3": 5e-4,
                       "glm4-moe": 1e-4}

# What a GGUF file of the architecture cannot say; programs that run it assume this.
ASSUMED = {
    "falcon-mamba": {"mixer_rms_eps": 1e-5},
    "gemma2": {"query_pre_attn_scalar": 32},
    "gemma3": {"query_pre_attn_scalar": 32},
    "glm": {"rms_norm_eps": 1e-5},
    "qwen3-moe": {"norm_topk_prob": True},
}

# Classes with other names in transformers.
CLASSES = {"MPTForCausalLM": "MptForCausalLM"}

LENGTH = 24  # tokens of a fixture
POSITIONS, COLUMNS = [0, 11, 23], 8  # what a fixture keeps

ENCODERS = {"bert", "distilbert", "modernbert", "nomic_bert", "roberta", "t5", "xlm-roberta"}


def tokens_for(vocabulary, count, without=()):
    """Random tokens."""
    numbers = np.random.default_rng(SEED).integers(0, vocabulary, 4 * count)
    return [int(number) for number in numbers if int(number) not in without][:count]


def with_transformers(folder, tokens=None, count=TOKENS, assumed=False):
    """The tokens and their logits, or the vectors of an encoder, in double precision.

    `assumed` is for checkpoints as they come: what their GGUF file cannot say is as programs assume it.
    """
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    config = transformers.AutoConfig.from_pretrained(folder)
    name = (config.architectures or [""])[0]
    model_class = getattr(transformers, CLASSES.get(name, name))
    if config.model_type == "t5":
        model_class = transformers.T5EncoderModel
    if assumed and name in CONFIGS:
        CONFIGS[name](config)
    options = {"config": config, "dtype": torch.float64, "output_loading_info": True}
    try:
        model, loaded = model_class.from_pretrained(folder, **options, attn_implementation="eager")
    except ValueError:  # models without attention
        model, loaded = model_class.from_pretrained(folder, **options)
    if any("lm_head" in key for key in loaded["missing_keys"]):
        model.get_output_embeddings().weight = model.get_input_embeddings().weight
    model = model.double().eval()
    if assumed and name in MODELS:
        MODELS[name](model)
    if tokens is None:
        # a padding token has a position of its own in some models
        tokens = tokens_for(model.get_input_embeddings().weight.shape[0], count, {config.pad_token_id})
    options = {} if config.model_type in ENCODERS else {"use_cache": False}
    with torch.no_grad():
        try:
            out = model(torch.tensor([tokens]), **options)
        except RuntimeError:  # some routers compute in single precision whatever the rest has
            out = model.float()(torch.tensor([tokens]), **options)
    rows = out.last_hidden_state if getattr(out, "logits", None) is None else out.logits
    return tokens, rows[0].double().numpy()


def write_fixture(name, work):
    """Run a case of fixtures/descriptions and keep some of its numbers."""
    from descriptions import write_weights
    case = json.loads((CASES / f"{name}.json").read_text())
    folder = Path(work) / name
    folder.mkdir()
    config = case["config"]
    if name in ASSUMED:
        config.update(ASSUMED[name])
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    write_weights(folder / "model.safetensors", [tuple(tensor) for tensor in case["tensors"]])
    tokens, rows = with_transformers(folder, count=LENGTH)
    columns = sorted(np.random.default_rng(SEED).choice(rows.shape[1], COLUMNS, replace=False).tolist())
    kept = [{"position": position, "values": [float(f"{rows[position, column]:.9g}") for column in columns]}
            for position in POSITIONS]
    largest = float(f"{np.abs(rows).max():.3g}")
    fixture = {"case": name, "tokens": tokens, "columns": columns, "largest": largest,
               "bound": BOUNDS.get(name, BOUND), "rows": kept}
    text = json.dumps(fixture, separators=(",", ":")).replace("{\"position", "\n{\"position")
    (FIXTURES / f"{name}.json").write_text(text + "\n")


def write_fixtures(names):
    FIXTURES.mkdir(exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        for name in names or NAMES:
            try:
                write_fixture(name, work)
                print(name, flush=True)
            except Exception as error:  # a class that transformers cannot run is no reason to stop
                failed += 1
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
    return failed


@functools.cache
def llama_cpp():
    """The declarations of llama-cpp-python for the libraries."""
    folder, source = os.environ["GRANULE_REFERENCE"], os.environ["LLAMA_CPP_PYTHON"]
    links = tempfile.mkdtemp()  # its loader wants plain names
    for name in os.listdir(folder):
        if ".so" in name:
            for link in {name, name.split(".")[0] + ".so"}:
                os.symlink(os.path.join(os.path.abspath(folder), name), os.path.join(links, link))
    ctypes.CDLL(links + "/libggml-base.so", mode=ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(links + "/libggml.so", mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    ggml.ggml_backend_load_all_from_path(os.path.abspath(folder).encode())
    os.environ["LLAMA_CPP_LIB_PATH"] = links
    package = types.ModuleType("llama_cpp")
    package.__path__ = [os.path.join(source, "llama_cpp")]
    sys.modules["llama_cpp"] = package
    extensions = importlib.import_module("llama_cpp._ctypes_extensions")
    declare = extensions.ctypes_function_for_shared_library

    class Tolerant:  # functions that this release of the library does not have
        def __init__(self, library):
            self.library = library

        def __getattr__(self, name):
            return getattr(self.library, name, None) or types.SimpleNamespace(__name__=name)

    extensions.ctypes_function_for_shared_library = lambda library: declare(Tolerant(library))
    return importlib.import_module("llama_cpp.llama_cpp")


def run_llama_cpp(path, tokens, flash, encoder):
    """The logits of every token, or its vector."""
    lib = llama_cpp()
    quiet = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(quiet, None)
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    assert model, "llama.cpp cannot load it"
    options = lib.llama_context_default_params()
    options.n_ctx = options.n_batch = options.n_ubatch = len(tokens)
    options.n_threads = options.n_threads_batch = 1
    options.flash_attn_type = int(flash)
    if not flash:
        options.type_k = options.type_v = 0  # F32
    if encoder:
        options.embeddings, options.pooling_type = True, 0
    context = lib.llama_init_from_model(model, options)
    assert context, "llama.cpp cannot run it"
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    batch.n_tokens = len(tokens)
    assert (lib.llama_encode if encoder else lib.llama_decode)(context, batch) == 0, "llama.cpp cannot decode"
    columns = lib.llama_model_n_embd(model) if encoder else lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    row = lib.llama_get_embeddings_ith if encoder else lib.llama_get_logits_ith
    return np.stack([np.ctypeslib.as_array(row(context, i), shape=(columns,)).copy() for i in range(len(tokens))])


def in_child(work):
    """The result of a function, or the text of its error; a crash ends the child alone."""
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                np.save(folder + "/out.npy", work())
                code = 0
            except BaseException as error:
                Path(folder, "error").write_text(str(error).replace("\n", " ")[:100])
            os._exit(code)
        os.waitpid(child, 0)
        if os.path.exists(folder + "/out.npy"):
            return np.load(folder + "/out.npy")
        error = Path(folder, "error")
        return error.read_text() if error.exists() else "it crashes"


def run_granule(program, path, tokens):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tokens").write_text(" ".join(map(str, tokens)))
        result = subprocess.run([program, path, folder + "/tokens", folder + "/out"], capture_output=True, text=True)
        if result.returncode:
            return result.stderr.strip().split("\n")[0][:100]
        return np.fromfile(folder + "/out", dtype=np.float32).reshape(len(tokens), -1)


def shares(x):
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def differences(ours, theirs, encoder):
    """A figure for the difference, and how it is shown."""
    if isinstance(theirs, str):
        return 0.0, theirs
    theirs = theirs[:, :ours.shape[1]]
    if encoder:
        largest = np.abs(ours - theirs).max() / np.abs(theirs).max()
        return largest**2, f"{largest:.1e} relative"  # a divergence grows with the square, too
    a, b = shares(theirs), shares(ours)
    divergence = (np.exp(a) * (a - b)).sum(-1).mean()
    same = (ours.argmax(-1) == theirs.argmax(-1)).mean()
    return divergence, f"{divergence:.1e} {100 * same:.0f} %"


def compare(program, granule, models):
    from gguf import GGUFReader
    wrong = 0
    print(f"{'model':<40} {'architecture':<14} {'llama.cpp':<16} {'single':<16} transformers")
    for model in models:
        with tempfile.TemporaryDirectory() as work:
            path = model
            if os.path.isdir(model):
                path = work + "/model.gguf"
                made = subprocess.run([granule, "convert", model, "--outtype", "f32", "-o", path],
                                      capture_output=True, text=True)
                if made.returncode:
                    print(f"{os.path.basename(model):<40} {made.stderr.strip()[:100]}", flush=True)
                    continue
            reader = GGUFReader(path)
            architecture = reader.fields["general.architecture"].contents()
            encoder = architecture in ("bert", "nomic-bert", "t5encoder", "gemma-embedding")
            rows = next(int(tensor.shape[1]) for tensor in reader.tensors if tensor.name == "token_embd.weight")
            tokens = tokens_for(rows, TOKENS, {0, 1})
            ours = run_granule(program, path, tokens)
            line = f"{os.path.basename(model):<40} {architecture:<14}"
            if isinstance(ours, str):
                print(line, ours, flush=True)
                continue
            cells = []
            for flash in (True, False):
                theirs = in_child(lambda flash=flash: run_llama_cpp(path, tokens, flash, encoder))
                figure, cell = differences(ours, theirs, encoder)
                cells.append(f"{cell:<16}")
                wrong += figure > LLAMA_CPP
            if os.path.isdir(model):
                theirs = in_child(lambda: with_transformers(model, tokens, assumed=True)[1])
                figure, cell = differences(ours, theirs, encoder)
                cells.append(cell)
                wrong += figure > TRANSFORMERS
            print(line, *cells, flush=True)
    return wrong


def main():
    task, *rest = sys.argv[1:] or [""]
    if task == "fixtures":
        sys.exit(bool(write_fixtures(rest)))
    if task == "compare" and len(rest) > 2:
        sys.exit(bool(compare(rest[0], rest[1], rest[2:])))
    sys.exit(__doc__)


if __name__ == "__main__":
    main()
