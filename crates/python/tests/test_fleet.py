"""Parts of a result, one at a time and as tasks of a Ray cluster."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import granule_gguf as granule
import pytest
from conftest import CHECKPOINT, ROOT


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*.gguf"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory):
    """A plan of several files, and what a single run writes by it."""
    folder = tmp_path_factory.mktemp("whole")
    run = [sys.executable, "-m", "granule_gguf", "convert", str(CHECKPOINT), "-t", "Q4_K_M"]
    run += ["--split-max-tensors", "6", "-o", str(folder / "model.gguf")]
    plan = subprocess.run([*run, "--dry-run", "--json"], check=True, capture_output=True).stdout
    (folder / "plan.json").write_bytes(plan)
    granule.convert(CHECKPOINT, folder / "model.gguf", plan=json.loads(plan))
    return folder


def test_parts_are_the_files_of_one_run(whole, tmp_path):
    plan = json.loads((whole / "plan.json").read_text())
    files = len(digests(whole))
    assert files > 2
    for number in reversed(range(1, files + 1)):
        summary = granule.convert(
            CHECKPOINT, tmp_path / "model.gguf", plan=plan, part=f"{number}/{files}"
        )
        assert len(summary.files) == 1
    assert digests(tmp_path) == digests(whole)
    with pytest.raises(ValueError, match="NUMBER/COUNT"):
        granule.convert(CHECKPOINT, tmp_path / "model.gguf", plan=plan, part="0/3")


def workers_of(mark: str) -> list[int]:
    """The workers of the cluster that was started with this mark which run a task."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            name = (process / "cmdline").read_bytes()
            if name.startswith(b"ray::write") and mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.parametrize(("workers", "kill"), [(1, False), (2, False), (4, False), (2, True)])
def test_ray_writes_the_parts(whole, tmp_path, workers, kill):
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    if kill and sys.platform != "linux":
        pytest.skip("workers are found in /proc")
    mark = f"GRANULE_MARK={os.getpid()}-{workers}-{kill}"
    name, value = mark.split("=")
    files = len(digests(whole))
    run = [sys.executable, str(ROOT / "tools/fleet/ray_parts.py"), "--workers", str(workers), str(files)]
    run += ["--plan", str(whole / "plan.json"), str(CHECKPOINT), str(tmp_path / "model.gguf")]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", name: value}
    driver = subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    killed = False
    while kill and not killed and driver.poll() is None:
        for worker in workers_of(mark)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed = True
        time.sleep(0.005)
    text = driver.communicate(timeout=300)[0].decode()
    assert driver.returncode == 0, text
    assert killed == kill
    assert f"{files} of {files}" in text, text
    assert digests(tmp_path) == digests(whole)
