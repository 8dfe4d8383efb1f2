"""What a fresh interpreter loads, and promises that pyproject.toml and tox.ini make to each other.

Which package may import which is import-linter's to say: see the contracts in pyproject.toml.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
TORCH = {"torch", "timm", "torchvision"}
HEAVY = {"matplotlib", "pandas", "scipy"}


def modules_of(package: str) -> list[str]:
    """Every module of a package, by its dotted name."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths, f"no package {package}"
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def loaded_by(code: str) -> set[str]:
    """The top-level packages in a fresh interpreter's sys.modules after `code`, which may exit."""
    report = "import atexit, sys; atexit.register(lambda: print('LOADED', *sys.modules)); "
    done = subprocess.run(
        [sys.executable, "-c", report + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("LOADED "))
    return {name.partition(".")[0] for name in line.split()[1:]}


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tox_ini() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ROOT / "tox.ini").read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("package", ["prism", "sim", "calibration", "validation"])
def test_no_torch_outside_its_two_homes(package: str) -> None:
    modules = [name for name in modules_of(package) if not f"{name}.".startswith("prism.nn.")]
    assert not loaded_by(f"import {', '.join(modules)}") & TORCH


def test_prism_alone_loads_nothing_heavy() -> None:
    assert not loaded_by("import prism") & (TORCH | HEAVY | {"numpy", "simpy", "pydantic"})


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; sys.argv = {['prism', *arguments]}; from prism.cli.main import main; main()"
    assert not loaded_by(code) & (TORCH | HEAVY | {"numpy", "simpy"})


def test_the_oldest_python_has_exactly_the_lower_bounds() -> None:
    bounds = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(pyproject()["project"]["dependencies"]), re.MULTILINE))
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)$", tox_ini()["testenv:py310"]["deps"], re.MULTILINE))
    assert pins == bounds


def test_every_supported_python_is_tested_and_listed_for_pyenv() -> None:
    classifiers = pyproject()["project"]["classifiers"]
    supported = {name.rpartition(" ")[2] for name in classifiers if re.search(r"Python :: 3\.\d+$", name)}
    tested = {f"3.{minor}" for minor in re.findall(r"\bpy3(\d+)\b", tox_ini()["tox"]["env_list"])}
    listed = set((ROOT / ".python-version").read_text(encoding="utf-8").split())
    assert supported == tested == listed
