"""Where packages come from, what torch can do, and what becomes of a package that crashes or hangs."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hw.preflight.check import Check
from hw.preflight.child import Ended, run_child
from hw.preflight.importing import look, look_into_torch
from hw.preflight.packages import PACKAGES, Package, Place, import_packages, packages
from hw.preflight.torch_parts import torch_parts

ABLE = {
    "cuda_built": "12.6",
    "cuda": True,
    "device": "Orin",
    "cuda_error": "",
    "distributed": True,
    "gloo": True,
    "numpy_error": "",
}
VENV = Place("/home/nano/venv", "/usr")
SYSTEM = "/usr/local/lib/python3.10/dist-packages"
INSIDE = "/home/nano/venv/lib/python3.10/site-packages"


def installed(folder: str = SYSTEM, **others: Package) -> dict[str, Package]:
    return {name: Package(name, "2.9.1", f"{folder}/{name}/__init__.py") for name in PACKAGES} | others


def by_name(found: dict[str, Package], *, jetson: bool, requirements: tuple[str, ...] = ()) -> dict[str, Check]:
    return {check.name: check for check in packages(found, VENV, requirements, jetson=jetson)}


def test_version_file_and_place_are_told() -> None:
    checks = by_name(installed(), jetson=True)
    assert {check.status for check in checks.values()} == {"ok"}
    assert checks["torch"].found == f"2.9.1, {SYSTEM}/torch/__init__.py, outside the virtual environment"


def test_on_a_jetson_torch_has_to_be_the_systems() -> None:
    checks = by_name(installed(INSIDE), jetson=True)
    assert checks["torch"].status == "failed"
    assert "--system-site-packages" in checks["torch"].remedy
    assert {checks[name].status for name in ("numpy", "torchvision", "jtop")} == {"warning"}
    assert {checks[name].status for name in ("prism", "timm")} == {"ok"}


def test_elsewhere_the_place_is_only_stated() -> None:
    checks = by_name(installed(INSIDE), jetson=False)
    assert {check.status for check in checks.values()} == {"ok"}
    assert checks["torch"].found.endswith("inside the virtual environment")


def test_a_link_into_the_system_lies_outside(tmp_path: Path) -> None:
    system, venv = tmp_path / "system", tmp_path / "venv"
    (system / "torch").mkdir(parents=True)
    (system / "torch/__init__.py").touch()
    venv.mkdir()
    (venv / "torch").symlink_to(system / "torch")
    place = Place(str(venv), "/usr")
    assert not place.holds(str(venv / "torch/__init__.py"))
    assert place.holds(str(venv / "timm.py"))


def test_a_missing_torch_fails_with_the_machines_own_remedy() -> None:
    found = installed(torch=Package("torch", missing=True))
    assert by_name(found, jetson=False)["torch"].remedy == "pip install 'prism-edge[hw]'"
    check = by_name(found, jetson=True)["torch"]
    assert check.status == "failed"
    assert "pypi.jetson-ai-lab.io" in check.remedy
    assert "pip install 'prism-edge[hw]'" not in check.remedy


def test_timm_on_a_jetson_must_not_bring_its_own_torch() -> None:
    found = installed(timm=Package("timm", missing=True))
    assert "--no-deps" in by_name(found, jetson=True)["timm"].remedy


def test_jtop_is_wanted_on_a_jetson_alone() -> None:
    found = installed(jtop=Package("jtop", missing=True))
    assert [by_name(found, jetson=jetson)["jtop"].status for jetson in (True, False)] == ["warning", "skipped"]


def test_a_package_that_does_not_import_fails_with_its_reason() -> None:
    found = installed(
        torchvision=Package("torchvision", error="RuntimeError: operator torchvision::nms does not exist")
    )
    check = by_name(found, jetson=False)["torchvision"]
    assert check.status == "failed"
    assert "torchvision::nms" in check.found


@pytest.mark.parametrize(
    ("version", "status"),
    [("2.2.2", "failed"), ("2.3", "ok"), ("2.3.0a0+nv24.4", "ok"), ("2.10.0", "ok"), ("unreleased", "ok")],
)
def test_a_torch_older_than_prism_needs_fails(version: str, status: str) -> None:
    found = installed(torch=Package("torch", version, f"{SYSTEM}/torch/__init__.py"))
    needs = ("numpy>=1.26.0", "torch>=2.3.0; extra == 'hw'")
    assert by_name(found, jetson=False, requirements=needs)["torch"].status == status


def parts(*, jetson: bool = False, require_cuda: bool = False, **facts: Any) -> list[Check]:
    torch = Package("torch", "2.9.1", "x", torch=ABLE | facts)
    return torch_parts(torch, jetson=jetson, require_cuda=require_cuda)


def test_a_torch_with_everything() -> None:
    assert [check.status for check in parts(jetson=True)] == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("jetson", "require_cuda", "status"), [(False, False, "warning"), (False, True, "failed"), (True, False, "failed")]
)
@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"cuda_built": None, "cuda": False}, "built without CUDA"),
        ({"cuda": False, "cuda_error": "driver too old"}, "driver too old"),
        ({"cuda_error": "no kernel image is available"}, "no kernel image"),
    ],
)
def test_cuda_missing_in_each_way(
    jetson: bool, require_cuda: bool, status: str, facts: dict[str, Any], words: str
) -> None:
    cuda, *_ = parts(jetson=jetson, require_cuda=require_cuda, **facts)
    assert cuda.status == status
    assert words in cuda.found


@pytest.mark.parametrize(("facts", "words"), [({"distributed": False}, "no torch.distributed"), ({}, "no GLOO")])
def test_gloo_missing_fails_and_names_the_index_as_a_lead(facts: dict[str, Any], words: str) -> None:
    _, gloo, _ = parts(jetson=True, **facts, gloo=False)
    assert gloo.status == "failed"
    assert words in gloo.found
    assert "users report wheels at https://pypi.jetson-ai-lab.io" in gloo.remedy


def test_without_torch_its_parts_are_skipped() -> None:
    missing = torch_parts(Package("torch", missing=True), jetson=True, require_cuda=True)
    assert [check.status for check in missing] == ["skipped"] * 3


def test_a_torch_built_for_another_numpy_fails() -> None:
    *_, bridge = parts(jetson=True, numpy_error="RuntimeError: Numpy is not available")
    assert bridge.status == "failed"
    assert "Numpy is not available" in bridge.found
    assert "'numpy>=1.26,<2'" in bridge.remedy


class FakeTorch(SimpleNamespace):
    """As much of torch as is looked into."""

    def __init__(self, *, available: bool = True, kernel_error: str = "", numpy_error: str = "") -> None:
        def zeros(_: int) -> Any:
            def numpy() -> None:
                if numpy_error:
                    raise RuntimeError(numpy_error)

            return SimpleNamespace(numpy=numpy)

        def ones(*_: object, **__: object) -> Any:
            if kernel_error:
                raise RuntimeError(kernel_error)
            return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 2.0))

        super().__init__(
            version=SimpleNamespace(cuda="12.6"),
            cuda=SimpleNamespace(is_available=lambda: available, get_device_name=lambda _: "Orin"),
            ones=ones,
            zeros=zeros,
        )


def test_cuda_is_tried_and_not_only_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = SimpleNamespace(is_available=lambda: True, is_gloo_available=lambda: True)
    monkeypatch.setitem(sys.modules, "torch.distributed", distributed)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(distributed=distributed))
    assert look_into_torch(FakeTorch()) == ABLE
    broken = look_into_torch(FakeTorch(kernel_error="CUDA error: no kernel image\nmore"))
    assert broken["cuda_error"] == "RuntimeError: CUDA error: no kernel image"
    assert look_into_torch(FakeTorch(available=False))["cuda"] is False
    assert look_into_torch(FakeTorch(numpy_error="Numpy is not available"))["numpy_error"].endswith("not available")
    # NVIDIA's own wheels are reported to have a torch.distributed that offers nothing else.
    monkeypatch.setitem(sys.modules, "torch.distributed", SimpleNamespace(is_available=lambda: False))
    assert not look_into_torch(FakeTorch())["gloo"]


def test_look_at_packages_that_are_there_missing_and_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doctor_broken.py").write_text("raise OSError('libcudart.so.12: cannot open\\nshared object')")
    (tmp_path / "doctor_quits.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    assert look("prism")["version"]
    assert look("doctor_absent") == {"missing": True}
    assert look("doctor_broken") == {"error": "OSError: libcudart.so.12: cannot open"}
    assert look("doctor_quits") == {"error": "SystemExit: 3"}


def test_the_package_that_brought_the_child_down_is_to_blame_and_the_rest_is_imported() -> None:
    def child(_module: str, waiting: list[str], _timeout_s: float) -> Ended:
        told = [{"package": name, "version": "1", "file": "x"} for name in waiting]
        if "torch" not in waiting:
            return Ended(tuple(told))
        return Ended(tuple(told[: waiting.index("torch")]), "crashed (SIGSEGV)")

    found = import_packages(child)
    assert found["torch"].error == "importing it crashed (SIGSEGV)"
    assert [name for name in PACKAGES if found[name].usable] == [name for name in PACKAGES if name != "torch"]


def child_module(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    """A module for `run_child`, whose `main` has this body."""
    (folder / "doctor_child.py").write_text(
        "import os, sys, time\nfrom hw.preflight.child import tell\n\n\ndef main(arguments):\n    " + body
    )
    monkeypatch.syspath_prepend(folder)
    return "doctor_child"


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        ("print('noise', end=''); tell({'got': arguments})", Ended(({"got": ["a"]},))),
        ("tell({'n': 1}); os.abort()", Ended(({"n": 1},), "crashed (SIGABRT)")),
        ("tell({'n': 1}); sys.exit('no libcudart')", Ended(({"n": 1},), "no libcudart")),
    ],
)
def test_what_a_child_tells_survives_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, ended: Ended
) -> None:
    assert run_child(child_module(tmp_path, monkeypatch, body), ["a"], 30) == ended


def test_a_child_that_hangs_is_killed_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "tell({'pids': [os.getpid(), os.fork()]}); time.sleep(60)"
    ended = run_child(child_module(tmp_path, monkeypatch, body), [], 3)
    assert ended.reason == "took longer than 3 s"
    pids = {pid for told in ended.told for pid in told["pids"]} - {0}
    assert len(pids) == 2
    deadline = time.monotonic() + 10  # a signal takes its time on a busy machine
    while time.monotonic() < deadline and any(map(_runs, pids)):
        time.sleep(0.01)
    assert not [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_a_child_does_not_import_from_the_folder_it_starts_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong torch')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    ended = run_child("hw.preflight.importing", ["torch"], 120)
    assert "the wrong torch" not in str(ended.told)
    assert not ended.reason


def test_usable() -> None:
    package = Package("torch", "2")
    assert package.usable
    assert not replace(package, error="x").usable
    assert not replace(package, missing=True).usable
