#!/usr/bin/env python3
"""Convert from and to an object store and a web server on this machine, and compare with the disk.

Needs `pip install moto[server]`. Starts moto's S3 server and a web server with ranges, each with a
proxy that counts bytes and can let requests fail, and stops them:

    tools/reference/remote.py --granule target/release/granule --work FOLDER [--megabytes 1000]

The Google store is moto's server, too, which has the same requests for objects and uploads in parts. The
hub is a small server with its listing of a model, which redirects to the web server for files. With
`--azurite node_modules/.bin/azurite-blob` (`npm install azurite`) also from and to an Azure store.

Prints a line for each run: bytes moved over the bytes of the source, seconds, peak memory, and
whether the result is the one from the disk. Exits with 1 if one is not.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import os
import random
import resource
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "seal-of-this-test", "AWS_REGION": "us-east-1"}
BUCKET = "models"
SMALL = bytes(0x3C | byte & 0x80 for byte in range(256))


def checkpoint(folder, megabytes):
    """A checkpoint of about this size, in four files or more: random weights in BF16.

    moto reads an object whole for every range of it, so files are small."""
    hidden, layers = 1024, max(1, round(megabytes / 25.2))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
        "intermediate_size": 2816, "num_hidden_layers": layers, "num_attention_heads": 16,
        "num_key_value_heads": 16, "vocab_size": 256, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
        "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    }
    shapes = {"model.embed_tokens.weight": (256, hidden), "lm_head.weight": (256, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        name = f"model.layers.{layer}."
        for part in "qkvo":
            shapes[f"{name}self_attn.{part}_proj.weight"] = (hidden, hidden)
        for part in ("gate", "up"):
            shapes[f"{name}mlp.{part}_proj.weight"] = (2816, hidden)
        shapes[f"{name}mlp.down_proj.weight"] = (hidden, 2816)
        for part in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{name}{part}.weight"] = (hidden,)
    names = sorted(shapes)
    count, source = max(4, megabytes // 50), random.Random(1)
    index, per = {}, -(-len(names) // count)
    for number in range(count):
        own = names[number * per:(number + 1) * per]
        header, at = {}, 0
        for name in own:
            size = 2 * shapes[name][0] * (shapes[name][1] if len(shapes[name]) > 1 else 1)
            header[name] = {"dtype": "BF16", "shape": list(shapes[name]), "data_offsets": [at, at + size]}
            at += size
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 8)
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        with open(folder / file, "wb") as out:
            out.write(struct.pack("<Q", len(head)) + head)
            while at > 0:
                piece = bytearray(source.randbytes(min(at, 1 << 22)))
                # the high byte of small numbers of either sign
                piece[1::2] = piece[1::2].translate(SMALL)
                out.write(piece)
                at -= len(piece)
        index.update({name: file for name in own})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text(json.dumps(config))


def large(path, gigabytes=40, tokens=262144, layers=126):
    """A GGUF file of this size with the header of a large model, and nothing written after the header."""
    text = lambda word: struct.pack("<Q", len(word)) + word
    strings = lambda words: struct.pack("<IIQ", 9, 8, len(words)) + b"".join(map(text, words))
    metadata = {
        b"general.architecture": struct.pack("<I", 8) + text(b"llama"),
        b"tokenizer.ggml.model": struct.pack("<I", 8) + text(b"gpt2"),
        b"tokenizer.ggml.tokens": strings([b"token%d" % token for token in range(tokens)]),
        b"tokenizer.ggml.merges": strings([b"left%d right%d" % (token, token) for token in range(tokens)]),
        b"tokenizer.ggml.token_type": struct.pack("<IIQ", 9, 5, tokens) + struct.pack("<i", 1) * tokens,
    }
    rows = int(gigabytes * 1e9 / (18 / 32) / 8192 / (layers * 7))
    at, tensors = 0, b""
    for layer in range(layers):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            name = f"blk.{layer}.{part}.weight".encode()
            tensors += text(name) + struct.pack("<IQQIQ", 2, 8192, rows, 2, at)
            at += 8192 // 32 * 18 * rows
            at += -at % 32
    head = b"GGUF" + struct.pack("<IQQ", 3, layers * 7, len(metadata))
    head += b"".join(text(key) + value for key, value in metadata.items()) + tensors
    head += b"\0" * (-len(head) % 32)
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + at)
    return len(head)


class Proxy(socketserver.ThreadingTCPServer):
    """Passes bytes on, counts those of bodies, and lets a share of requests fail."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port):
        self.port, self.moved, self.sent, self.share, self.seen = port, 0, 0, 0.0, 0
        self.random = random.Random(7)
        super().__init__(("127.0.0.1", 0), Passing)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, *_):
        pass

    def pass_on(self):
        server = self.server
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        server.sent += length
        server.seen += 1
        fails = server.random.random() < server.share and server.random.choice(["cut", "status", "slow"])
        if fails == "slow":
            time.sleep(1)
        if fails == "status":
            self.close_connection = True
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return
        with socket.create_connection(("127.0.0.1", server.port)) as to:
            head = f"{self.command} {self.path} HTTP/1.1\r\n"
            for name, value in self.headers.items():
                # without OAuth the token for Google is empty, which moto cannot read
                value = f"{value.strip()} none" if value.strip() == "Bearer" else value
                if name.lower() not in ("connection", "content-length", "expect"):
                    head += f"{name}: {value}\r\n"
            to.sendall(f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body)
            answer = to.makefile("rb")
            first, left = answer.readline(), None
            lines = [first]
            while (line := answer.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    left = int(value)
                if name.lower() != b"connection":
                    lines.append(line)
            self.close_connection = True
            self.wfile.write(b"".join(lines) + b"Connection: close\r\n\r\n")
            if self.command == "HEAD" or left is None:
                return
            if fails == "cut":
                left //= 2
            while left > 0 and (piece := answer.read(min(left, 1 << 16))):
                self.wfile.write(piece)
                server.moved += len(piece)
                left -= len(piece)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on


class Files(http.server.SimpleHTTPRequestHandler):
    """Files with ranges."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        size = path.stat().st_size
        wanted = self.headers.get("Range", f"bytes=0-{size - 1}").removeprefix("bytes=").split("-")
        start, end = int(wanted[0]), min(int(wanted[1] or size), size - 1)
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("Content-Length", str(end - start + 1))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}-{size}"')
        self.end_headers()
        with open(path, "rb") as file:
            file.seek(start)
            left = end - start + 1
            while left > 0:
                piece = file.read(min(left, 1 << 18))
                self.wfile.write(piece)
                left -= len(piece)


class Hub(http.server.BaseHTTPRequestHandler):
    """The listing of a model, and addresses of files that lead to another server."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/api/models/org/tiny/revision/"):
            files = [{"rfilename": file.name} for file in self.server.model.iterdir()]
            body = json.dumps({"sha": "0123abcd", "siblings": files}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return self.wfile.write(body)
        self.server.asked += 1
        name = self.path.rsplit("/", 1)[1]
        self.send_response(302 if self.path.startswith("/org/tiny/resolve/0123abcd/") else 404)
        self.send_header("Location", f"{self.server.files}/tiny/{name}?Signature=seal-of-this-test")
        self.send_header("Content-Length", "0")
        self.end_headers()


def hub(model, files):
    """Starts a hub."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.model, server.files, server.asked = model, files, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def azure(program, work):
    """Starts a blob server of Azurite with a container. Returns it and the variables for it."""
    port = free_port()
    command = [program, "--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--blobPort", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/devstoreaccount1/models?restype=container"
    # the account and the key that every Azurite has
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    signed = f"PUT\n\n\n\n\napplication/octet-stream\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n/devstoreaccount1/devstoreaccount1/models\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()).decode()
    headers = {"Content-Type": "application/octet-stream", "x-ms-date": date, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey devstoreaccount1:{signature}"}
    for attempt in range(100):
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers, data=b""))
            break
        except OSError:
            if attempt == 99:
                raise
            time.sleep(0.2)
    return server, {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port}"}


def ask(url, method="GET", data=None):
    """A request of this script itself; moto wants a signature and does not look at it."""
    sign = "AWS4-HMAC-SHA256 Credential=key/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"Authorization": sign, "Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return answer.read()


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(arguments, environment, kill_after=None, cpu=False):
    """Seconds, peak megabytes, exit status and messages of a command, and its CPU time if that is wanted."""
    begin = time.monotonic()
    child = subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if kill_after is not None:
        time.sleep(kill_after)
        child.send_signal(signal.SIGKILL)
    # the system's own figure begins with the memory of this script, which has started the child
    peak, ended = [0], threading.Event()

    def look():
        while not ended.wait(0.02):
            try:
                lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
                peak[0] = max([peak[0], *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
            except OSError:
                pass

    looking = threading.Thread(target=look)
    looking.start()
    text = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    ended.set()
    looking.join()
    child.returncode = status
    if KEYS["AWS_SECRET_ACCESS_KEY"] in text:
        sys.exit(f"a secret is shown: {text}")
    found = time.monotonic() - begin, peak[0] / 1000, os.waitstatus_to_exitcode(status), text
    return (*found, usage.ru_utime + usage.ru_stime) if cpu else found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--granule", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--azurite", help="the program of Azurite's blob server")
    parser.add_argument("--moto", default="moto_server", help="the program of moto's server")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    work = arguments.work
    model = work / "tiny"
    if not model.exists():
        model.mkdir(parents=True)
        checkpoint(model, arguments.megabytes)
        for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
            file = Path(__file__).parents[2] / "fixtures/checkpoints/llama2-spm-256" / name
            if file.exists():
                (model / name).write_bytes(file.read_bytes())
    bytes_of_source = sum(file.stat().st_size for file in model.iterdir() if file.suffix == ".safetensors")

    moto_port, files_port = free_port(), free_port()
    moto = subprocess.Popen([arguments.moto, "-H", "127.0.0.1", "-p", str(moto_port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", files_port), lambda *a: Files(*a, directory=str(work)))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    store, files = Proxy(moto_port), Proxy(files_port)
    environment = {**KEYS, "AWS_ENDPOINT_URL": store.url, "AWS_ALLOW_HTTP": "true"}
    put = f"http://127.0.0.1:{moto_port}/{BUCKET}"
    for _ in range(600):
        try:
            ask(put, "PUT")
            break
        except OSError:
            time.sleep(0.2)
    try:
        for file in model.iterdir():
            ask(f"{put}/tiny/{file.name}", "PUT", file.read_bytes())
        ok = measure(arguments.granule, work, model, bytes_of_source, store, files, environment, put)
        ok &= others(arguments.granule, work, model, store, files, arguments.azurite)
    finally:
        moto.terminate()
    sys.exit(0 if ok else 1)


def measure(granule, work, model, bytes_of_source, store, files, environment, put):
    result, ok = work / "disk.gguf", True
    result.unlink(missing_ok=True)
    convert = lambda source, to: [granule, "convert", source, "-t", "Q4_K_M", "-o", str(to), "-j", "2", "-q"]
    seconds, memory, status, text = run(convert(str(model), result), {})
    assert status == 0, text
    expected = sha256(result)
    print(f"{'from':28} {'to':12} {'moved':>7} {'seconds':>8} {'MB':>6}  same")
    print(f"{'disk':28} {'disk':12} {'':7} {seconds:8.1f} {memory:6.0f}  {bytes_of_source} bytes to {result.stat().st_size}")

    def check(label, to_store, source, proxy, share=0.0, kill_after=None):
        nonlocal ok
        target = f"s3://{BUCKET}/out/a.gguf" if to_store else str(work / "remote.gguf")
        store.moved = files.moved = store.sent = store.seen = 0
        store.share = files.share = share
        again = ""
        if kill_after is not None:
            *_, status, text = run(convert(source, target), environment, kill_after)
            # on a disk here; the record in a store has the names of parts alone
            left = [file for file in work.glob(".remote.gguf.*") if file.suffix == ".resume"]
            if any(b"seal-of" in file.read_bytes() for file in left):
                sys.exit("a secret is in a journal")
            again = f", after {proxy.moved / bytes_of_source:.3f} in a run that was killed" + (", a journal was left" if left else "")
            proxy.moved = 0
        seconds, memory, status, text = run(convert(source, target), environment)
        store.share = files.share = 0.0
        same = False
        if status == 0:
            if to_store:
                same = hashlib.sha256(ask(f"{put}/out/a.gguf")).hexdigest() == expected
                same &= b"<Key>" not in ask(f"{put}?list-type=2&prefix=out/.")
                ask(f"{put}/out/a.gguf", "DELETE")
            else:
                same = sha256(target) == expected
                Path(target).unlink()
        ok &= same
        moved = proxy.moved / bytes_of_source
        to = "s3" if to_store else "disk"
        print(f"{label:28} {to:12} {moved:7.3f} {seconds:8.1f} {memory:6.0f}  {'yes' if same else 'NO: ' + text.strip()}{again}", flush=True)

    check("http", False, f"{files.url}/tiny", files)
    check("s3", False, f"s3://{BUCKET}/tiny", store)
    check("s3", True, f"s3://{BUCKET}/tiny", store)
    check("disk", True, str(model), store)
    check("s3, 5 % of requests fail", True, f"s3://{BUCKET}/tiny", store, share=0.05)
    check("s3, killed", True, f"s3://{BUCKET}/tiny", store, kill_after=seconds * 0.7)
    signed = files.url.replace("http://", "http://me:seal-of-me@") + "/tiny?signature=seal-of-this-test"
    check("http with a signature, killed", False, signed, files, kill_after=seconds * 0.7)
    check("s3, killed", False, f"s3://{BUCKET}/tiny", store, kill_after=seconds * 0.7)
    header, files.moved = large(work / "large.gguf"), 0
    size = (work / "large.gguf").stat().st_size
    seconds, memory, status, text = run([granule, "inspect", f"{files.url}/large.gguf", "--totals"], {})
    (work / "large.gguf").unlink()
    print(f"inspect {size / 1e9:.1f} GB with a header of {header / 1e6:.2f} MB: {files.moved / 1e6:.2f} MB moved, {seconds:.2f} s, {memory:.0f} MB")
    return ok and status == 0 and files.moved < max(16e6, 1.1 * header)


def others(granule, work, model, store, files, azurite):
    """From the hub; to and from the stores of Google and of Azure. Returns whether the bytes are right."""
    expected, ok = sha256(work / "disk.gguf"), True

    def check(label, steps, environment):
        nonlocal ok
        begin, result = time.monotonic(), work / "other.gguf"
        for number, (source, to) in enumerate(steps):
            what = "COPY" if number else "Q4_K_M"
            *_, status, text = run([granule, "convert", source, "-t", what, "-o", to, "-j", "2", "-q"], environment)
            if status != 0:
                break
        same = status == 0 and sha256(result) == expected
        result.unlink(missing_ok=True)
        ok &= same
        print(f"{label:41} {time.monotonic() - begin:8.1f} s  {'yes' if same else 'NO: ' + text.strip()}", flush=True)

    there, result = hub(model, files.url), str(work / "other.gguf")
    files.moved, files.seen = 0, 0
    check("hub to disk", [("hf://org/tiny", result)], {"HF_ENDPOINT": f"http://127.0.0.1:{there.server_address[1]}", "HF_TOKEN": "seal-of-this-test"})
    size = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    print(f"  {files.moved / size:.3f} moved; the hub was asked {there.asked} times for {files.seen} ranges")
    account = {"gcs_base_url": store.url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    google = {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)}
    check("disk to a Google store, and back", [(str(model), f"gs://{BUCKET}/g.gguf"), (f"gs://{BUCKET}/g.gguf", result)], google)
    if azurite is None:
        print("an Azure store was not tried: --azurite names no program")
        return ok
    server, environment = azure(azurite, work)
    try:
        check("disk to an Azure store, and back", [(str(model), "az://models/a.gguf"), ("az://models/a.gguf", result)], environment)
    finally:
        server.terminate()
    return ok


if __name__ == "__main__":
    main()
