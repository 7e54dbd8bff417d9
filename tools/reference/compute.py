#!/usr/bin/env python3
"""Decoding, products and opening with the reference library (ggml), for `cargo xtask bench reader`.

The reference comes prebuilt; see the head of `blocks.py`. Each line of standard input is a request, a JSON object, each
line of standard output an answer: `{"seconds": S}` for one of the `times`, `{"without": "what"}` for what
the library does not have, or `{"error": "why"}`.

    decode   a row at a time into one buffer: rows, columns, weights
    whole    all rows into a buffer of their own: likewise, and threads (each takes a part of the rows)
    product  y[vector * rows + row] on the CPU backend: likewise, and x (a file of `batch` or more vectors), y, threads,
             repacked (in the order that the backend prefers; "without" if it has none for the type)
    open     a GGUF file's metadata and tensor table, no data: path; the answer also has the seconds of the first
             time ("first", not one of the `times`), the memory that they take ("kept") and that opening needs for
             a while ("peak"), in bytes; ask it of a fresh process

`type` is the type's number, `weights` a file of blocks. With one thread time is CPU time, with several that on the wall.
Needs numpy, but not for "open".
"""
import ctypes
import glob
import json
import os
import sys
import threading
import time
from collections import deque
from ctypes import c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from itertools import repeat

CPU = 0
F32 = 0


class Without(Exception):
    """The library does not have what was asked for."""


class Traits(ctypes.Structure):
    """The first fields of what the library says about a type."""

    _fields_ = [("name", c_char_p), ("values", c_int64), ("interleaved", c_int64), ("bytes", c_size_t),
                ("quantized", c_bool), ("decode", c_void_p)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("bytes", c_size_t), ("memory", c_void_p), ("no_data", c_bool)]


class OpenOptions(ctypes.Structure):
    _fields_ = [("no_data", c_bool), ("context", c_void_p)]


class Tensor(ctypes.Structure):
    """A tensor, in release 0.5.0."""

    _fields_ = [("type", c_int), ("buffer", c_void_p), ("shape", c_int64 * 4), ("strides", c_size_t * 4),
                ("operation", c_int), ("parameters", ctypes.c_int32 * 16), ("flags", ctypes.c_int32),
                ("sources", c_void_p * 10), ("view", c_void_p), ("view_offset", c_size_t), ("data", c_void_p),
                ("name", ctypes.c_char * 64), ("repacking", c_void_p)]


class Library:
    def __init__(self):
        folder = os.environ.get("GRANULE_REFERENCE")
        if not folder:
            sys.exit("set GRANULE_REFERENCE to the folder of the reference library; see the head of blocks.py")
        self.folder = folder
        self.base = ctypes.CDLL(os.path.join(folder, "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        self.base.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
        self.loaded = {}

    def call(self, name, *arguments, result=c_void_p):
        function = getattr(self.base, name)
        function.restype = result
        return function(*arguments)

    def start_backend(self):
        if "backend" in self.loaded:
            return self.loaded["backend"]
        paths = glob.glob(os.path.join(self.folder, "libggml.v*.so"))
        registry = ctypes.CDLL((paths or [os.path.join(self.folder, "libggml.so")])[0], mode=ctypes.RTLD_GLOBAL)
        registry.ggml_backend_load_all_from_path(c_char_p(self.folder.encode()))
        registry.ggml_backend_dev_by_type.restype = c_void_p
        device = c_void_p(registry.ggml_backend_dev_by_type(c_int(CPU)))
        module = c_void_p(self.call("ggml_backend_dev_backend_reg", device))
        find = lambda name, kind: kind(self.call("ggml_backend_reg_get_proc_address", module, c_char_p(name)))
        backend = c_void_p(self.call("ggml_backend_dev_init", device, None))
        set_threads = find(b"ggml_backend_set_n_threads", ctypes.CFUNCTYPE(None, c_void_p, c_int))
        extra = find(b"ggml_backend_dev_get_extra_bufts", ctypes.CFUNCTYPE(ctypes.POINTER(c_void_p), c_void_p))(device)
        buffers = []
        while extra and extra[len(buffers)]:
            buffers.append(c_void_p(extra[len(buffers)]))
        names = [self.call("ggml_backend_buft_name", buffer, result=c_char_p) for buffer in buffers]
        repacking = next((buffer for buffer, name in zip(buffers, names) if b"REPACK" in name), None)
        self.loaded["backend"] = backend, set_threads, repacking
        return self.loaded["backend"]

    def tensor(self, context, kind, columns, rows):
        return c_void_p(self.call("ggml_new_tensor_2d", context, c_int(kind), c_int64(columns), c_int64(rows)))

    def context(self):
        # the library copies the options
        self.base.ggml_init.argtypes = [ContextOptions]
        return c_void_p(self.call("ggml_init", ContextOptions(1 << 20, None, True)))

    def allocate(self, context, buffer_type):
        buffer = self.call("ggml_backend_alloc_ctx_tensors_from_buft", context, buffer_type)
        if not buffer:
            raise MemoryError("no buffer")
        return c_void_p(buffer)

    def weights(self, request, repacked):
        """The tensor of weights, kept until others are asked for."""
        key = "repacked" if repacked else "plain"
        wanted = request["type"], request["rows"], request["columns"]
        if key in self.loaded:
            found, context, buffer, tensor = self.loaded[key]
            if found == wanted:
                return tensor
            del self.loaded[key]
            self.call("ggml_backend_buffer_free", buffer, result=None)
            self.call("ggml_free", context, result=None)
        _, _, repacking = self.start_backend()
        plain = c_void_p(self.call("ggml_backend_cpu_buffer_type"))
        if repacked and not repacking:
            raise Without("repacking")
        context = self.context()
        tensor = self.tensor(context, *(request[key] for key in ("type", "columns", "rows")))
        buffer = self.allocate(context, repacking if repacked else plain)
        if repacked and not ctypes.cast(tensor, ctypes.POINTER(Tensor)).contents.repacking:
            self.call("ggml_backend_buffer_free", buffer, result=None)
            self.call("ggml_free", context, result=None)
            raise Without("repacking of this type")
        data = read(request["weights"])
        self.call("ggml_backend_tensor_set", tensor, c_void_p(data.ctypes.data), c_size_t(0), c_size_t(data.size),
                  result=None)
        self.loaded[key] = wanted, context, buffer, tensor
        return tensor

    def decoder(self, request):
        traits = self.base.ggml_get_type_traits(c_int(request["type"])).contents
        if not traits.decode:
            raise Without("decoding of this type")
        return ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int64)(traits.decode)


def read(path):
    import numpy as np

    return np.fromfile(path, np.uint8)


def clock(request):
    return time.thread_time if request.get("threads", 1) == 1 else time.perf_counter


def decode(library, request):
    """The time of calling a function that does nothing is taken off."""
    import numpy as np

    function, rows, columns, data = library.decoder(request), request["rows"], request["columns"], read(request["weights"])
    row_bytes = data.size // rows
    out = np.empty(columns, np.float32)
    starts = [c_void_p(data.ctypes.data + row * row_bytes) for row in range(rows)]
    to, count, none = c_void_p(out.ctypes.data), c_int64(columns), c_int64(0)

    def seconds(count):
        begin = time.thread_time()
        for _ in range(request["times"]):
            deque(map(function, starts, repeat(to), repeat(count)), maxlen=0)
        return time.thread_time() - begin

    return {"seconds": (seconds(count) - seconds(none)) / request["times"]}


def whole(library, request):
    import numpy as np

    function, rows, columns, data = library.decoder(request), request["rows"], request["columns"], read(request["weights"])
    threads, row_bytes = request["threads"], data.size // rows
    out = np.ones(rows * columns, np.float32)
    edges = [rows * i // threads for i in range(threads + 1)]
    part = lambda begin, end: function(data.ctypes.data + begin * row_bytes, out.ctypes.data + 4 * begin * columns,
                                       (end - begin) * columns)

    def once():
        others = [threading.Thread(target=part, args=edges[i : i + 2]) for i in range(1, threads)]
        for other in others:
            other.start()
        part(*edges[:2])
        for other in others:
            other.join()

    return {"seconds": often(request, once)}


def product(library, request):
    backend, set_threads, _ = library.start_backend()
    weights = library.weights(request, request["repacked"])
    context = library.context()
    x = library.tensor(context, F32, request["columns"], request["batch"])
    y = c_void_p(library.call("ggml_mul_mat", context, weights, x))
    graph = c_void_p(library.call("ggml_new_graph", context))
    library.call("ggml_build_forward_expand", graph, y, result=None)
    buffer = library.allocate(context, c_void_p(library.call("ggml_backend_cpu_buffer_type")))
    data = read(request["x"])[: 4 * request["columns"] * request["batch"]]
    library.call("ggml_backend_tensor_set", x, c_void_p(data.ctypes.data), c_size_t(0), c_size_t(data.size), result=None)
    set_threads(backend, request["threads"])
    status = []
    compute = library.base.ggml_backend_graph_compute
    seconds = often(request, lambda: status.append(compute(backend, graph)))
    out = (ctypes.c_char * (4 * request["rows"] * request["batch"]))()
    library.call("ggml_backend_tensor_get", y, out, c_size_t(0), c_size_t(len(out)), result=None)
    with open(request["y"], "wb") as file:
        file.write(out)
    library.call("ggml_backend_buffer_free", buffer, result=None)
    library.call("ggml_free", context, result=None)
    if any(status):
        raise ValueError(f"status {max(status)}")
    return {"seconds": seconds}


def often(request, work):
    now = clock(request)
    begin = now()
    for _ in range(request["times"]):
        work()
    return (now() - begin) / request["times"]


def open_file(library, request):
    path, options = c_char_p(request["path"].encode()), OpenOptions(True, None)
    library.base.gguf_init_from_file.argtypes = [c_char_p, OpenOptions]
    before = memory("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    found = []

    def once():
        if found:
            library.call("gguf_free", c_void_p(found.pop()), result=None)
        found.append(library.call("gguf_init_from_file", path, options))

    first = often({**request, "times": 1}, once)
    if not found[0]:
        raise ValueError("cannot be opened")
    kept, peak = memory("VmRSS") - before, memory("VmHWM") - before
    return {"first": first, "seconds": often(request, once), "kept": kept, "peak": peak}


def memory(name):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(name + ":"))
    return int(line.split()[1]) << 10


WORK = {"decode": decode, "whole": whole, "product": product, "open": open_file}


def main():
    # the library may print to standard output
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    library = Library()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = WORK[request["work"]](library, request)
        except Without as missing:
            answer = {"without": str(missing)}
        except (ValueError, MemoryError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
