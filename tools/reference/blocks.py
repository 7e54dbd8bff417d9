#!/usr/bin/env python3
"""Encode and decode blocks with the reference library, for `cargo conformance`.

The library comes prebuilt from npm; nothing is compiled and nothing of it is kept here:

    npm pack @node-llama-cpp/linux-x64@3.22.1 && tar xzf node-llama-cpp-linux-x64-*.tgz
    export GRANULE_REFERENCE=$PWD/package/bins/linux-x64

Requests come on standard input, answers go to standard output, all numbers little-endian:

    request   u32 type, u32 what (0 encode, 1 encode with weights, 2 decode; plus 256 times how often once more),
              u64 rows, u64 columns,
              encode: f32 values [rows, columns], with weights also f32 weights [columns]
              decode: the blocks [rows, bytes of a row]
    answer    u64 bytes, f64 seconds of CPU time that the library took once, then
              encode: for each row a byte, whether the reference accepts its own result; the blocks
              decode: f32 values [rows, columns]

Needs numpy.
"""
import ctypes
import os
import struct
import sys
import time

import numpy as np


class Traits(ctypes.Structure):
    """The first fields of what the library says about a type."""

    _fields_ = [("name", ctypes.c_char_p), ("values", ctypes.c_int64), ("interleaved", ctypes.c_int64),
                ("bytes", ctypes.c_size_t), ("quantized", ctypes.c_bool), ("decode", ctypes.c_void_p)]


def load():
    folder = os.environ.get("GRANULE_REFERENCE")
    if not folder:
        sys.exit("set GRANULE_REFERENCE to the folder of the reference library; see the head of " + __file__)
    library = ctypes.CDLL(os.path.join(folder, "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    library.ggml_validate_row_data.restype = ctypes.c_bool
    library.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    library.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
    return library


def take(kind, count):
    size = np.dtype(kind).itemsize * count
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        sys.exit("a request was cut short")
    return np.frombuffer(data, kind)


def main():
    library = load()
    while head := sys.stdin.buffer.read(24):
        kind, what, rows, columns = struct.unpack("<IIQQ", head)
        what, times = what & 255, (what >> 8) + 1
        traits = library.ggml_get_type_traits(kind).contents
        row_bytes = columns // traits.values * traits.bytes
        if what == 2:
            blocks = take("u1", rows * row_bytes)
            values = np.empty(rows * columns, "<f4")
            decode = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(traits.decode)
            begin = time.thread_time()
            for _ in range(times):
                decode(blocks.ctypes.data, values.ctypes.data, values.size)
            seconds, answer = (time.thread_time() - begin) / times, values.tobytes()
        else:
            values = take("<f4", rows * columns)
            weights = take("<f4", columns) if what == 1 else None
            blocks = np.zeros((rows, row_bytes), np.uint8)
            library.ggml_quantize_init(kind)
            begin = time.thread_time()
            for _ in range(times):
                library.ggml_quantize_chunk(kind, values.ctypes.data, blocks.ctypes.data, 0, rows, columns,
                                            None if weights is None else weights.ctypes.data)
            seconds = (time.thread_time() - begin) / times
            valid = bytes(library.ggml_validate_row_data(kind, row.ctypes.data, row_bytes) for row in blocks)
            answer = valid + blocks.tobytes()
        sys.stdout.buffer.write(struct.pack("<Qd", len(answer), seconds) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
