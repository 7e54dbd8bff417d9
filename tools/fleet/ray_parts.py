#!/usr/bin/env python3
"""Write the parts of a result as tasks of a Ray cluster.

    ray_parts.py COUNT --plan plan.json MODEL OUT/model.gguf
    ray_parts.py COUNT -- granule convert MODEL --plan plan.json -o s3://bucket/out/model.gguf

Each task writes one part: the first form calls the package granule-gguf, the second one runs the
program with `--part NUMBER/COUNT`. A task whose worker dies is started again, on any machine, and
continues after what is complete where results go to a shared file system or an object store. Needs
`pip install ray granule-gguf`, and the plan and the model on every machine.
"""

import argparse
import ctypes
import json
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
def write(how, number, count):
    """Write a part. Returns its number and the seconds that it took."""
    begin, part = time.monotonic(), f"{number}/{count}"
    if isinstance(how, dict):
        import granule_gguf

        granule_gguf.convert(how["model"], how["output"], plan=how["plan"], part=part, threads=how["threads"])
    else:
        command = [*how, "--quiet", "--part", part]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=end_with_the_worker)
        if done.returncode != 0:
            raise RuntimeError(f"part {part}: {done.stderr.strip()}")
    return number, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many parts there are")
    parser.add_argument("--address", help="the cluster; without it, that of the environment or a new one here")
    parser.add_argument("--workers", type=int, help="cores of a new cluster here")
    parser.add_argument("--cpus", type=int, default=1, help="cores for a part (with a command, pass -j too)")
    parser.add_argument("--plan", help="a plan of `granule convert --dry-run --json`: call the package")
    parser.add_argument("command", nargs="+", help="model and output, or the conversion without --part")
    arguments = parser.parse_args()
    how = arguments.command
    if arguments.plan is not None:
        model, output = how
        with open(arguments.plan) as plan:
            how = {"model": model, "output": output, "plan": json.load(plan), "threads": arguments.cpus}
    begin, address = time.monotonic(), "local" if arguments.workers else arguments.address
    ray.init(address=address, num_cpus=arguments.workers, log_to_driver=False, logging_level="ERROR")
    started, cpu, task = time.monotonic(), time.process_time(), write.options(num_cpus=arguments.cpus)
    how = ray.put(how)
    left = [task.remote(how, number, arguments.count) for number in range(1, arguments.count + 1)]
    working = 0.0
    while left:
        done, left = ray.wait(left)
        number, seconds = ray.get(done[0])
        working += seconds
        print(f"{arguments.count - len(left)} of {arguments.count}: part {number} took {seconds:.2f} s", flush=True)
    end = time.monotonic()
    print(
        f"{end - begin:.1f} s: {started - begin:.1f} s to start the cluster, {end - started:.1f} s for the parts, "
        f"which took {working:.1f} s of all workers together; the driver used {time.process_time() - cpu:.2f} s of CPU"
    )


if __name__ == "__main__":
    main()
