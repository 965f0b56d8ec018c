"""What a release is made of: locked packages with hashes, and a list of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import lock

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("python", lock.PYTHONS)
def test_the_lock_fits_the_project_and_every_file_has_its_hash(python: str) -> None:
    text = lock.lock_file(python).read_text()
    assert lock.problems(python, text) == []
    # Every line is a package with its hashes, and nothing comes from anywhere else.
    assert not [line for line in text.splitlines() if "://" in line or line.startswith(("-", "git+"))]


def test_a_lock_that_does_not_fit_is_named() -> None:
    text = lock.lock_file("3.11").read_text()
    found = lock.pins(text)
    assert found["numpy"][1] > 10
    old = text.replace(f"starlette=={found['starlette'][0]}", "starlette==0.1")
    assert lock.problems("3.11", old) == ["starlette==0.1 is not >=0.40"]
    assert "click is missing" in lock.problems("3.11", text.replace("click==", "clack=="))
    assert "h11 has no hash" in lock.problems("3.11", "h11==1.0\n" + text.replace("h11==", "h12=="))


def test_what_pip_reports_becomes_a_lock_that_names_each_file() -> None:
    def reported(name: str, version: str, digest: str) -> dict[str, object]:
        info = {"url": f"https://somewhere/{name}.whl", "archive_info": {"hashes": {"sha256": digest}}}
        return {"metadata": {"name": name, "version": version}, "download_info": info}

    text = lock.pinned(
        {"install": [reported("Some_Name", "2.0", "b" * 64), reported("abc", "1.1", "a" * 64)]}
    )
    assert (
        text
        == f"abc==1.1 \\\n    --hash=sha256:{'a' * 64}\nsome-name==2.0 \\\n    --hash=sha256:{'b' * 64}\n"
    )
    assert lock.pins(text) == {"abc": ("1.1", 1), "some-name": ("2.0", 1)}


def test_the_bill_of_materials_names_what_runs(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    subprocess.run([sys.executable, ROOT / "scripts" / "sbom.py", file], check=True)
    found = json.loads(file.read_bytes())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    parts = {part["name"]: part for part in found["components"]}
    assert {"numpy", "starlette", "uvicorn", "h11", "pillow", "detect-coco"} <= set(parts)
    assert "pytest" not in parts and "tensorflow" not in parts
    assert all(part.get("licenses") for part in parts.values() if part["type"] == "library")
    model = (ROOT / "models" / "detect-coco.tflite").read_bytes()
    assert parts["detect-coco"]["hashes"] == [
        {"alg": "SHA-256", "content": hashlib.sha256(model).hexdigest()}
    ]
    references = {part["bom-ref"] for part in found["components"]} | {
        found["metadata"]["component"]["bom-ref"]
    }
    for entry in found["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= references
