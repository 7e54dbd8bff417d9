"""Compare the speed of the Python package with that of the Rust libraries and of gguf-py.

    cargo build --release -p granule-convert --example arrays
    pip install gguf
    python crates/python/benches/speed.py target/release/examples/arrays

Each figure is the best of several runs in this run; Rust and Python take turns.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import granule_gguf as granule
import numpy as np

TYPES = ["Q8_0", "Q4_K", "Q6_K", "Q4_0"]
ROWS, COLUMNS = 8192, 4096
RUNS = 7
TURNS = 3


def best(work, runs: int = RUNS) -> float:
    """Return the seconds of the fastest run."""
    fastest = float("inf")
    for _ in range(runs):
        begin = time.perf_counter()
        result = work()
        fastest = min(fastest, time.perf_counter() - begin)
        del result
    return fastest


def main() -> None:
    program = sys.argv[1]
    x = np.random.default_rng(1).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    print(f"{ROWS} x {COLUMNS} values; million values/s; ratio: Python to Rust")
    with tempfile.TemporaryDirectory() as folder:
        for name in TYPES:
            path = Path(folder) / "file.gguf"
            granule.save_file(path, {"x": (name, granule.encode(x, name))})
            tensor = granule.open(path)["x"]
            values = tensor.decode()
            encode = functools.partial(granule.encode, values, name)
            rust = {"decode": float("inf"), "encode": float("inf")}
            ours = dict(rust)
            for _ in range(TURNS):
                out = subprocess.run([program, path, "x", name], capture_output=True, check=True)
                for key, seconds in json.loads(out.stdout).items():
                    rust[key] = min(rust[key], seconds)
                ours["decode"] = min(ours["decode"], best(tensor.decode))
                ours["encode"] = min(ours["encode"], best(encode))
            theirs = of_gguf(name, tensor, values)
            for key in rust:
                speed = [ROWS * COLUMNS / seconds / 1e6 for seconds in (rust[key], ours[key])]
                line = f"{name:5} {key}: Rust {speed[0]:6.0f}, Python {speed[1]:6.0f}"
                line += f" ({rust[key] / ours[key]:4.0%})"
                if key in theirs:
                    line += f", gguf-py {ROWS * COLUMNS / theirs[key] / 1e6:5.0f}"
                    line += f" ({theirs[key] / ours[key]:.0f} times as long)"
                print(line, flush=True)


def of_gguf(name: str, tensor: granule.Tensor, values: np.ndarray) -> dict[str, float]:
    """Return the seconds of gguf-py, where it can do the same."""
    try:
        import gguf
    except ImportError:
        return {}
    kind = gguf.GGMLQuantizationType[name]
    blocks = tensor.blocks()
    seconds = {"decode": best(lambda: gguf.quants.dequantize(blocks, kind), 1)}
    try:
        seconds["encode"] = best(lambda: gguf.quants.quantize(values, kind), 1)
    except NotImplementedError:
        pass
    return seconds


if __name__ == "__main__":
    main()
