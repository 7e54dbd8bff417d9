#!/usr/bin/env python3
"""What ggml and gguf-py do with the files of `fixtures/files`, beside `granule check`.

    python3 tools/reference/malformed.py target/release/granule [FOLDER]

Every file is read in a process of its own with a time limit: by ggml as a program would load it (`gguf_init_from_file` with
the data, then `ggml_validate_row_data` for every tensor), by gguf-py (`GGUFReader`, then every tensor's data touched), by
`granule check`. The library is that of `blocks.py`; gguf-py is the package that is installed. FOLDER is one with the same
`manifest.json`; its files may lie in it directly.
"""
import collections
import ctypes
import glob
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys

# of the processor's time; what waits for something else so long hangs, too
SECONDS = 20
ROOT = pathlib.Path(__file__).resolve().parents[2]


def ggml(path):
    """Exit status 0 if the file loads and its rows are valid."""
    folder = os.environ.get("GRANULE_REFERENCE", str(ROOT / "target/reference"))
    base = sorted(glob.glob(folder + "/libggml-base*"))
    library = ctypes.CDLL(base[0])

    class Params(ctypes.Structure):
        _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(ctypes.c_void_p))]

    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    for name, result, arguments in [
        ("gguf_init_from_file", pointer, [ctypes.c_char_p, Params]),
        ("ggml_get_first_tensor", pointer, [pointer]),
        ("ggml_get_next_tensor", pointer, [pointer, pointer]),
        ("ggml_get_data", pointer, [pointer]),
        ("ggml_nbytes", size, [pointer]),
        ("gguf_get_tensor_type", ctypes.c_int, [pointer, ctypes.c_int64]),
        ("gguf_get_n_tensors", ctypes.c_int64, [pointer]),
        ("gguf_get_tensor_name", ctypes.c_char_p, [pointer, ctypes.c_int64]),
        ("ggml_get_tensor", pointer, [pointer, ctypes.c_char_p]),
        ("ggml_validate_row_data", ctypes.c_bool, [ctypes.c_int, pointer, size]),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    context = pointer()
    file = library.gguf_init_from_file(path.encode(), Params(False, ctypes.pointer(context)))
    if not file:
        return 1
    for i in range(library.gguf_get_n_tensors(file)):
        tensor = library.ggml_get_tensor(context, library.gguf_get_tensor_name(file, i))
        if not tensor:
            return 1
        ty, count = library.gguf_get_tensor_type(file, i), library.ggml_nbytes(tensor)
        if count and not library.ggml_validate_row_data(ty, library.ggml_get_data(tensor), count):
            return 1
    return 0


def gguf_py(path):
    """Exit status 0 if the reader takes the file and its data."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        for field in reader.fields.values():
            field.contents()
        for tensor in reader.tensors:
            bytes(tensor.data)
    except RecursionError:
        return 3
    except MemoryError:
        return 3
    except Exception:
        return 1
    return 0


READERS = {"ggml": ggml, "gguf-py": gguf_py}


def outcome(command):
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20 * SECONDS,
                              env={**os.environ, "GGML_NO_BACKTRACE": "1"}, check=False)
    except subprocess.TimeoutExpired:
        return "hang"
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "hang"
    return {0: "accepts", 1: "refuses"}.get(done.returncode, "crash")


def main():
    if sys.argv[1] == "--read":
        # no more memory and time than any of the files is worth
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        os._exit(READERS[sys.argv[2]](sys.argv[3]))
    granule = sys.argv[1]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "fixtures/files")
    manifest = json.loads((folder / "manifest.json").read_text())
    programs = {
        "Granule": lambda path: [granule, "check", "--quiet", path],
        "ggml": lambda path: [sys.executable, __file__, "--read", "ggml", path],
        "gguf-py": lambda path: [sys.executable, __file__, "--read", "gguf-py", path],
    }
    counts = {name: collections.Counter() for name in programs}
    files = collections.Counter()
    for entry in manifest["files"]:
        if entry.get("files"):
            continue  # a set as a whole; the readers take single files
        kind = {"error": "malformed", "warning": "warned"}.get(entry["severity"], "legal")
        places = [folder / place / entry["file"] for place in ("", "invalid", "warned", "valid")]
        path = next(place for place in places if place.is_file())
        files[kind] += 1
        for name, command in programs.items():
            result = outcome(command(str(path)))
            counts[name][kind, result] += 1
            if name == "Granule" and (kind == "malformed") != (result == "refuses"):
                print(f"Granule {result} {path.name} ({kind})")
    print(f"{dict(files)}\n")
    print("| reader | malformed: accepts | refuses | crashes | hangs | legal: refuses | crashes or hangs | with a warning: refuses |")
    print("|---|---|---|---|---|---|---|---|")
    for name, count in counts.items():
        row = [count["malformed", result] for result in ("accepts", "refuses", "crash", "hang")]
        row += [count["legal", "refuses"], count["legal", "crash"] + count["legal", "hang"]]
        row += [count["warned", "refuses"] + count["warned", "crash"] + count["warned", "hang"]]
        print(f"| {name} | " + " | ".join(map(str, row)) + " |")


main()
