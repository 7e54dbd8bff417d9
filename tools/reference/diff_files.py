#!/usr/bin/env python3
"""Print how far the values of two GGUF files are from each other, decoded by gguf-py.

    diff_files.py A B

One JSON object: for every tensor whose bytes differ, the root mean square of the differences divided by that of A's
values. `cargo xtask bench tools --diff` compares `granule diff` with it.
"""
import json
import sys

import numpy
from gguf import GGUFReader
from gguf.quants import dequantize

before, after = ({tensor.name: tensor for tensor in GGUFReader(path).tensors} for path in sys.argv[1:])
errors = {}
for name, one in before.items():
    other = after[name]
    if one.tensor_type == other.tensor_type and numpy.array_equal(one.data, other.data):
        continue
    x, y = (dequantize(it.data, it.tensor_type).astype(numpy.float64) for it in (one, other))
    errors[name] = float(numpy.sqrt(numpy.square(x - y).sum() / numpy.square(x).sum()))
json.dump(errors, sys.stdout)
