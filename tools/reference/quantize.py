#!/usr/bin/env python3
"""The reference quantizer (libllama of ggml / llama.cpp) as a process, for `cargo conformance files`.

The reference comes prebuilt; see the head of `blocks.py`. What `llama-quantize` does around the library is done here: it
reads the importance matrix, filters it, adds the keys that say where it comes from, and writes patterns in lower case.

Each line of standard input is a request, a JSON object; the defaults are in `REQUEST`. Each answer is a line:

    {"code": 0, "seconds": 1.5, "types": {"output.weight": "q6_K", ...}, "log": "the end of what it said"}

`types` is filled by dry runs. The library aborts on some input; then this process ends without an answer.
Needs numpy, and the package gguf for importance matrices in GGUF form.
"""
import ctypes
import glob
import json
import os
import re
import struct
import sys
import time

import numpy as np

REQUEST = {
    "input": None, "output": None, "file_type": 0, "copy": False, "threads": 2, "pure": False, "leave_output": False,
    "output_type": None, "embedding_type": None, "tensor_types": [], "prune": [], "keep_split": False,
    "overrides": [], "requantize": False, "dry_run": False, "imatrix": None, "include": [], "exclude": [],
}

TYPES = 43


class Entry(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t)]


class Pattern(ctypes.Structure):
    _fields_ = [("pattern", ctypes.c_char_p), ("type", ctypes.c_int)]


class Value(ctypes.Union):
    _fields_ = [("int", ctypes.c_int64), ("float", ctypes.c_double), ("bool", ctypes.c_bool), ("str", ctypes.c_char * 128)]


class Override(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("key", ctypes.c_char * 128), ("value", Value)]


class Parameters(ctypes.Structure):
    """What the library takes, in release 0.5.0."""

    _fields_ = [("threads", ctypes.c_int32), ("file_type", ctypes.c_int32), ("output_type", ctypes.c_int32),
                ("embedding_type", ctypes.c_int32), ("requantize", ctypes.c_bool), ("quantize_output", ctypes.c_bool),
                ("copy", ctypes.c_bool), ("pure", ctypes.c_bool), ("keep_split", ctypes.c_bool), ("dry_run", ctypes.c_bool),
                ("imatrix", ctypes.POINTER(Entry)), ("overrides", ctypes.POINTER(Override)),
                ("patterns", ctypes.POINTER(Pattern)), ("prune", ctypes.POINTER(ctypes.c_int32)), ("buffer", ctypes.c_size_t)]


Logger = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Quantizer:
    def __init__(self):
        folder = os.environ.get("GRANULE_REFERENCE")
        if not folder:
            sys.exit("set GRANULE_REFERENCE to the folder of the reference library; see the head of blocks.py")
        for path in sorted(glob.glob(os.path.join(folder, "libggml*.so"))):
            if "cpu" not in os.path.basename(path):
                library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
                if path.endswith("libggml-base.so"):
                    base = library
        found = sorted(glob.glob(os.path.join(folder, "libllama.v*.so"))) or [os.path.join(folder, "libllama.so")]
        self.library = ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)
        self.library.llama_model_quantize_default_params.restype = Parameters
        self.library.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters)]
        self.library.llama_model_quantize.restype = ctypes.c_uint32
        self.log = []
        self.logger = Logger(lambda level, text, data: self.log.append(text.decode(errors="replace")))
        self.library.llama_log_set(self.logger, None)
        self.library.llama_backend_init()
        base.ggml_type_name.restype = ctypes.c_char_p
        names = ((base.ggml_type_name(number), number) for number in range(TYPES))
        self.types = {name.decode().lower(): number for name, number in names if name}

    def run(self, request):
        wanted = REQUEST | request
        parameters = self.library.llama_model_quantize_default_params()
        parameters.threads, parameters.file_type, parameters.copy = wanted["threads"], wanted["file_type"], wanted["copy"]
        parameters.quantize_output = not wanted["leave_output"]
        parameters.pure, parameters.keep_split = wanted["pure"], wanted["keep_split"]
        parameters.requantize, parameters.dry_run = wanted["requantize"], wanted["dry_run"]
        for field in ("output_type", "embedding_type"):
            if wanted[field]:
                setattr(parameters, field, self.types[wanted[field].lower()])
        overrides = [tuple(override) for override in wanted["overrides"]]
        keep = []
        if wanted["imatrix"]:
            weights, keys = importance(wanted["imatrix"], wanted["include"], wanted["exclude"])
            if weights:
                overrides += keys
                entries = (Entry * (len(weights) + 1))()
                for entry, (name, values) in zip(entries, weights.items()):
                    data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
                    entry.name, entry.data, entry.size = name.encode(), data, values.size
                keep.append(weights)
                parameters.imatrix = entries
        if overrides:
            array = (Override * (len(overrides) + 1))()
            for item, (key, kind, value) in zip(array, overrides):
                item.kind, item.key = ("int", "float", "bool", "str").index(kind), key.encode()[:127]
                setattr(item.value, kind, value.encode()[:127] if kind == "str" else value)
            parameters.overrides = array
        if wanted["tensor_types"]:
            array = (Pattern * (len(wanted["tensor_types"]) + 1))()
            for item, (pattern, kind) in zip(array, wanted["tensor_types"]):
                item.pattern, item.type = pattern.lower().encode(), self.types[kind.lower()]
            parameters.patterns = array
        if wanted["prune"]:
            parameters.prune = (ctypes.c_int32 * (len(wanted["prune"]) + 1))(*sorted(set(wanted["prune"])), -1)
        output = wanted["output"]
        if wanted["keep_split"]:
            output = output.removesuffix(".gguf")  # numbers and ending are put behind it
        self.log.clear()
        begin = time.perf_counter()
        code = self.library.llama_model_quantize(wanted["input"].encode(), output.encode(), ctypes.byref(parameters))
        seconds = time.perf_counter() - begin
        log = "".join(self.log)
        types = dry_types(log) if wanted["dry_run"] else {}
        return {"code": code, "seconds": seconds, "types": types, "log": log[-400:]}


def dry_types(log):
    """The type of each tensor in what a dry run has said."""
    types = {}
    for part in re.split(r"\[ *\d+/ *\d+\] +", log)[1:]:
        name, stored = re.match(r"(\S+) +- \[.*?\], type = +(\S+),", part).groups()
        chosen = re.search(r"MiB -> +[\d.]+ MiB \((\S+)\)", part)
        types[name] = chosen.group(1) if chosen else stored
    return types


def importance(path, include, exclude):
    """The weights of each tensor, and the keys that say where they come from."""
    with open(path, "rb") as file:
        form = file.read(4)
    weights, datasets, chunks = gguf_matrix(path) if form == b"GGUF" else dat_matrix(path)
    if include:
        weights = {name: values for name, values in weights.items() if any(part in name for part in include)}
    weights = {name: values for name, values in weights.items() if not any(part in name for part in exclude)}
    keys = [("quantize.imatrix.file", "str", path)]
    if datasets:
        keys.append(("quantize.imatrix.dataset", "str", datasets[0]))
    keys.append(("quantize.imatrix.entries_count", "int", len(weights)))
    if chunks > 0:
        keys.append(("quantize.imatrix.chunks_count", "int", chunks))
    return weights, keys


def gguf_matrix(path):
    from gguf import GGUFReader

    reader = GGUFReader(path)
    tensors = {tensor.name: np.array(tensor.data, np.float32).reshape(-1) for tensor in reader.tensors}
    weights = {}
    for name, sums in tensors.items():
        if not name.endswith(".in_sum2"):
            continue
        name = name.removesuffix(".in_sum2")
        # halves away from zero
        counts = np.floor(tensors[name + ".counts"] + np.float32(0.5))[:, None]
        sums = sums.reshape(len(counts), -1)
        mean = np.where(counts > 0, sums / np.where(counts > 0, counts, np.float32(1)), np.float32(1))
        weights[name] = np.ascontiguousarray(mean.reshape(-1), np.float32)
    field = lambda key: reader.fields[key].contents()
    return weights, field("imatrix.datasets"), int(field("imatrix.chunk_count"))


def dat_matrix(path):
    with open(path, "rb") as file:
        number = lambda: struct.unpack("<i", file.read(4))[0]
        weights = {}
        for _ in range(number()):
            name = file.read(number()).decode()
            calls, size = number(), number()
            values = np.frombuffer(file.read(4 * size), "<f4")
            weights[name] = np.ascontiguousarray(values / np.float32(calls) if calls > 0 else values, np.float32)
        chunks, datasets = 0, []
        if tail := file.read(4):
            chunks = struct.unpack("<i", tail)[0]
            datasets = [file.read(number()).decode()]
    return weights, datasets, chunks


def main():
    quantizer = Quantizer()
    # the library may print to standard output
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(quantizer.run(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
