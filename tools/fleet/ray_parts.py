#!/usr/bin/env python3
"""Write the parts of a result as tasks of a Ray cluster.

    ray_parts.py COUNT -- granule convert MODEL --plan plan.json -o s3://bucket/out/model.gguf

Each task writes one part, as `--part NUMBER/COUNT` does. A task whose worker dies is started again,
on any machine, and continues after what is complete where results go to an object store or a shared
file system. Needs `pip install ray`, and the program, the plan and the model on every machine.
"""

import argparse
import ctypes
import signal
import subprocess
import sys
import time

import ray


def end_with_the_worker():
    """On Linux, a worker that is killed takes its program along, which would hold the lock of the part."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@ray.remote(max_retries=5)
def write(command, number, count):
    """Write a part. Returns its number and the seconds that it took."""
    begin = time.monotonic()
    command = [*command, "--quiet", "--part", f"{number}/{count}"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=end_with_the_worker)
    if done.returncode != 0:
        raise RuntimeError(f"part {number}/{count}: {done.stderr.strip()}")
    return number, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many parts there are")
    parser.add_argument("--address", help="the cluster; without it, that of the environment or a new one here")
    parser.add_argument("--workers", type=int, help="cores of a new cluster here")
    parser.add_argument("--cpus", type=int, default=1, help="cores for a part (pass -j with the command)")
    parser.add_argument("command", nargs="+", help="the conversion, without --part")
    arguments = parser.parse_args()
    address = "local" if arguments.workers else arguments.address
    ray.init(address=address, num_cpus=arguments.workers, log_to_driver=False, logging_level="ERROR")
    begin, task = time.monotonic(), write.options(num_cpus=arguments.cpus)
    left = [task.remote(arguments.command, number, arguments.count) for number in range(1, arguments.count + 1)]
    working = 0.0
    while left:
        done, left = ray.wait(left)
        number, seconds = ray.get(done[0])
        working += seconds
        print(f"{arguments.count - len(left)} of {arguments.count}: part {number} took {seconds:.1f} s", flush=True)
    print(f"{time.monotonic() - begin:.1f} s, {working:.1f} s of them in the program, of all workers together")


if __name__ == "__main__":
    main()
