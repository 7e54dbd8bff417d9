"""The program that comes with the package, and the declared types."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import granule_gguf as granule
import pytest
from conftest import CHECKPOINT, ROOT
from granule_gguf import _granule

PACKAGE = Path(granule.__file__).parent


def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "granule_gguf", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, **options)


def test_the_script_is_installed():
    script = shutil.which("granule", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed in this environment")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["granule", granule.__version__]


def test_output_and_exit_status(tmp_path, model_path):
    done = run("inspect", model_path)
    assert done.returncode == 0 and "token_embd.weight" in done.stdout and done.stderr == ""
    (tmp_path / "bad.gguf").write_text("no model")
    assert run("check", model_path).returncode == 0
    done = run("check", tmp_path / "bad.gguf")
    assert done.returncode == 1 and "H002" in done.stdout
    done = run("convert")
    assert done.returncode == 2 and done.stderr.startswith("granule: error:")
    assert run("inspect", tmp_path / "none").returncode == 2
    piped = f"{sys.executable} -m granule_gguf explain --all | head -1"
    assert subprocess.run(piped, shell=True, capture_output=True, timeout=60).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_signals_end_the_program(tmp_path):
    """A reader of a pipe that nobody writes to waits for ever; Ctrl-C ends it."""
    script = (
        "import signal, sys, time; from granule_gguf.__main__ import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # perhaps ignored by a shell
        "sys.argv = ['granule', '--version']; main(); sys.stdout.flush(); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT


def test_the_example_of_the_readme(tmp_path, model_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_path, tmp_path / "model-Q4_K_M.gguf")
    shutil.copytree(CHECKPOINT, tmp_path / "Qwen3-8B")
    for name in ["calibration.txt", "evaluation.txt"]:
        (tmp_path / name).write_text("The quick brown fox jumps over the lazy dog. " * 30)
    examples = []
    for page in ["README.md", "crates/python/README.md", "docs/from-gguf-py.md"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        examples += re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 3
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert "llama" in capsys.readouterr().out


def declared() -> ast.Module:
    return ast.parse((PACKAGE / "_granule.pyi").read_text(encoding="utf-8"))


def parameters(function: ast.FunctionDef) -> list[tuple[str, str]]:
    """Names and kinds of the parameters that a stub declares, without self."""
    found = []
    names = [*function.args.posonlyargs, *function.args.args]
    kinds = [inspect.Parameter.POSITIONAL_ONLY] * len(function.args.posonlyargs)
    kinds += [inspect.Parameter.POSITIONAL_OR_KEYWORD] * len(function.args.args)
    found += zip((name.arg for name in names), kinds)
    found += [(name.arg, inspect.Parameter.KEYWORD_ONLY) for name in function.args.kwonlyargs]
    if function.args.kwarg:
        found.append((function.args.kwarg.arg, inspect.Parameter.VAR_KEYWORD))
    return [(name, str(kind)) for name, kind in found if name not in ("self", "cls")]


def actual(function) -> list[tuple[str, str]]:
    signature = inspect.signature(function)
    pairs = [(name, str(it.kind)) for name, it in signature.parameters.items()]
    return [pair for pair in pairs if pair[0] not in ("self", "cls")]


def test_stubs_declare_the_module():
    names = {name for name in vars(_granule) if not name.startswith("__")}
    nodes = [node for node in declared().body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    constants = {node.target.id for node in declared().body if isinstance(node, ast.AnnAssign)}
    assert {node.name for node in nodes} | constants == names
    for node in nodes:
        member = getattr(_granule, node.name)
        assert member.__doc__, f"{node.name} has no documentation"
        if isinstance(node, ast.FunctionDef):
            assert parameters(node) == actual(member), node.name


def test_stubs_declare_every_member():
    for node in declared().body:
        if not isinstance(node, ast.ClassDef):
            continue
        cls = getattr(_granule, node.name)
        functions = {it.name: it for it in node.body if isinstance(it, ast.FunctionDef)}
        # what every object has is declared only where it does something of its own
        common = {"__repr__", "__str__", "__module__", "__doc__", "__ne__", "__lt__", "__le__"}
        common |= {"__gt__", "__ge__"}
        members = {name for name in vars(cls) if name not in common}
        if "__new__" not in functions:
            members -= {"__new__"}
        assert set(functions) == members, node.name
        for name, function in functions.items():
            member = inspect.getattr_static(cls, name)
            is_property = any(getattr(it, "id", "") == "property" for it in function.decorator_list)
            assert is_property == inspect.isdatadescriptor(member), f"{node.name}.{name}"
            if not name.startswith("__"):
                assert member.__doc__, f"{node.name}.{name} has no documentation"
            overloads = [
                it for it in function.decorator_list if getattr(it, "id", "") == "overload"
            ]
            is_slot = name == "__new__" or isinstance(member, types.WrapperDescriptorType)
            if not (is_property or overloads or is_slot):
                assert parameters(function) == actual(getattr(cls, name)), f"{node.name}.{name}"


def test_everything_is_exported():
    for name in granule.__all__:
        assert getattr(granule, name) is not None
    public = {name for name in vars(_granule) if not name.startswith("_")}
    assert public - set(granule.__all__) == {"VERSION", "run_program"}
    assert set(granule.errors.__all__) == {
        name for name, it in vars(granule.errors).items() if isinstance(it, type)
    }
