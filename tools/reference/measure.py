#!/usr/bin/env python3
"""Run a program and say what it took, for `cargo xtask bench files`.

    measure.py PROGRAM ARGUMENT ...

Standard input goes to the program. When it has ended, one line tells what it took:

    {"code": 0, "seconds": 1.5, "cpu_seconds": 2.9, "peak_bytes": 50000000, "written_bytes": 4096, "output": "its standard output", "errors": "..."}
"""
import json
import resource
import subprocess
import sys
import time


def main():
    begin = time.perf_counter()
    done = subprocess.run(sys.argv[1:], stdin=sys.stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"code": done.returncode, "seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime,
                      "peak_bytes": used.ru_maxrss * unit, "written_bytes": used.ru_oublock * 512, "output": done.stdout, "errors": done.stderr[-2000:]}))


if __name__ == "__main__":
    main()
