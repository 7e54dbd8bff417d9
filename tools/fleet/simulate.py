#!/usr/bin/env python3
"""Simulate the conversion of a checkpoint in an object store by a fleet of machines.

    simulate.py measure --granule target/release/granule --work FOLDER > rates.json
    simulate.py run --rates rates.json [--terabytes 1.5] [--machines 1 16 128] [--network 10]

`measure` takes the rates of this machine, with a checkpoint that `tools/reference/remote.py` has left in
FOLDER: seconds of a core for a gigabyte that is read from the disk and encoded, for one that
comes from a web server on this machine, and for one that is uploaded to an S3 server on it; and how fast
one stream reads and one upload writes there.

`run` takes the files of a split result as tasks, and gives each machine its share of them as `--part` does.
A file is read, encoded and written at once: its rate is the least of what the streams, the network and the
cores allow. Each stream has a rate of its own around the mean, and a machine starts when it is there, so
the slowest machine decides. Prints a row for each number of machines.
"""

import argparse
import json
import random
import statistics
import sys


def lasts(files, machine, rates, options, draw):
    """Seconds that a machine needs for its files, and those that reading, encoding and writing alone would take."""
    network = options.network * 1e9 / 8
    end, alone = draw.uniform(0.5, 1.5) * options.start, [0.0, 0.0, 0.0]
    for size in files:
        written = size * options.ratio
        streams = lambda count, mean: sum(max(0.1, draw.gauss(1, 0.3)) for _ in range(count)) * mean
        read = size / min(network, streams(options.reads, options.read_stream * 1e6))
        write = written / min(network, streams(options.writes, options.write_stream * 1e6))
        core_seconds = (
            size / 1e9 * (rates["encode_core_seconds_a_gb"] + rates["receive_core_seconds_a_gb"])
            + written / 1e9 * rates["send_core_seconds_a_gb"]
        )
        encode = core_seconds / options.cores
        # the first strip has to come before anything is encoded, the last part to go after that
        first = 8e6 / (options.read_stream * 1e6) + 8e6 / (options.write_stream * 1e6)
        end += max(read, encode, write) + first + options.latency
        alone = [sum(pair) for pair in zip(alone, (read, encode, write))]
    return end, alone


def simulate(count, rates, options):
    """Means over several runs: seconds until all is done, seconds of all machines, and what takes longest."""
    size = options.terabytes * 1e12
    files = max(1, round(size * options.ratio / (options.file * 1e9)), count)
    ends, paid, alone = [], [], [0.0, 0.0, 0.0]
    for seed in range(options.runs):
        draw = random.Random(seed)
        of_machines = []
        for machine in range(count):
            own = files * (machine + 1) // count - files * machine // count
            end, parts = lasts([size / files] * own, machine, rates, options, draw)
            of_machines.append(end)
            alone = [sum(pair) for pair in zip(alone, parts)]
        ends.append(max(of_machines))
        paid.append(sum(of_machines))
    alone = [seconds / options.runs / count for seconds in alone]
    bottleneck = ("read", "encode", "write")[alone.index(max(alone))]
    return statistics.mean(ends), statistics.mean(paid), alone, bottleneck, files


def run(options):
    with open(options.rates) as file:
        rates = json.load(file)
    print("| machines | files | read, s | encode, s | write, s | all, s | bottleneck | cost |")
    print("|---|---|---|---|---|---|---|---|")
    for count in options.machines:
        end, paid, alone, bottleneck, files = simulate(count, rates, options)
        parts = " | ".join(f"{seconds:.0f}" for seconds in alone)
        cost = paid / 3600 * options.price
        print(f"| {count} | {files} | {parts} | {end:.0f} | {bottleneck} | ${cost:.2f} |")


def measure(options):
    """Rates of this machine as JSON."""
    import http.server
    import subprocess
    import threading
    import time
    import urllib.request
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
    import remote

    work, model = options.work, options.work / "tiny"
    source = sum(file.stat().st_size for file in model.glob("*.safetensors")) / 1e9
    port = remote.free_port()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), lambda *a: remote.Files(*a, directory=str(work)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    moto_port = remote.free_port()
    moto = subprocess.Popen([options.moto, "-H", "127.0.0.1", "-p", str(moto_port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {**remote.KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{moto_port}", "AWS_ALLOW_HTTP": "true"}
    for _ in range(100):
        try:
            remote.ask(f"http://127.0.0.1:{moto_port}/{remote.BUCKET}", "PUT")
            break
        except OSError:
            time.sleep(0.2)

    def core_seconds(begin, to):
        """The least CPU time of several runs, of the program alone."""
        command = [options.granule, "convert", begin, "-t", "Q4_K_M", "-o", to, "-j", "2", "-q"]
        times = []
        for _ in range(options.runs):
            _, _, status, text, cpu = remote.run(command, environment, cpu=True)
            assert status == 0, text
            times.append(cpu)
            if "://" not in to:
                written.append(Path(to).stat().st_size / 1e9)
                Path(to).unlink()
            else:
                remote.ask(f"http://127.0.0.1:{moto_port}/{remote.BUCKET}/{to.split('/', 3)[3]}", "DELETE")
        return statistics.median(times)

    written = []
    try:
        disk = core_seconds(str(model), str(work / "rates.gguf"))
        web = core_seconds(f"http://127.0.0.1:{port}/tiny", str(work / "rates.gguf"))
        store = core_seconds(str(model), f"s3://{remote.BUCKET}/rates.gguf")
        file = max(model.glob("*.safetensors"), key=lambda file: file.stat().st_size)
        begin = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tiny/{file.name}") as answer:
            while answer.read(1 << 20):
                pass
        stream = file.stat().st_size / (time.monotonic() - begin) / 1e6
        part = file.read_bytes()[: 8 << 20]
        begin = time.monotonic()
        for _ in range(8):
            remote.ask(f"http://127.0.0.1:{moto_port}/{remote.BUCKET}/part", "PUT", part)
        upload = 8 * len(part) / (time.monotonic() - begin) / 1e6
    finally:
        moto.terminate()
    json.dump({
        "encode_core_seconds_a_gb": round(disk / source, 3),
        "receive_core_seconds_a_gb": round(max(0.0, web - disk) / source, 3),
        "send_core_seconds_a_gb": round(max(0.0, store - disk) / written[0], 3),
        "one_stream_reads_mb_a_second": round(stream),
        "one_upload_writes_mb_a_second": round(upload),
        "ratio": round(written[0] / source, 4),
    }, sys.stdout, indent=2)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    rates = commands.add_parser("measure")
    from pathlib import Path
    rates.add_argument("--granule", required=True)
    rates.add_argument("--work", type=Path, required=True)
    rates.add_argument("--moto", default="moto_server")
    rates.add_argument("--runs", type=int, default=3)
    fleet = commands.add_parser("run")
    fleet.add_argument("--rates", required=True)
    for name, default, what in (
        ("terabytes", 1.5, "size of the checkpoint"), ("ratio", 0.306, "bytes written for one that is read"),
        ("cores", 8, "cores of a machine"), ("network", 10.0, "gigabits a second of a machine, each way"),
        ("read-stream", 60.0, "megabytes a second of a request"), ("reads", 12, "requests at a time"),
        ("write-stream", 60.0, "megabytes a second of an upload"), ("writes", 6, "uploads at a time"),
        ("file", 3.0, "gigabytes of a file of the result"), ("start", 15.0, "seconds until a machine begins, on the mean"),
        ("latency", 1.0, "seconds to open and to end a file"), ("price", 0.80, "dollars an hour of a machine"),
        ("runs", 20, "runs of the simulation"),
    ):
        fleet.add_argument(f"--{name}", type=type(default), default=default, help=f"{what} [{default}]")
    fleet.add_argument("--machines", type=int, nargs="+", default=[1, 16, 128])
    options = parser.parse_args()
    measure(options) if options.command == "measure" else run(options)


if __name__ == "__main__":
    main()
