"""Writes what a device runs as a CycloneDX 1.5 document (JSON): edgecam, its packages as they are here.

    python scripts/sbom.py [FILE]     to standard output without FILE

For a release it is called in an environment made of requirements/device-py3XX.txt.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
import uuid
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgecam  # noqa: E402
from edgecam import resources  # noqa: E402
from edgecam.install.environment import distributions  # noqa: E402


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def reference(name: str, version: str) -> str:
    return f"pkg:pypi/{normal(name)}@{version}"


def package(found: Distribution) -> dict[str, Any]:
    """The component of an installed package."""
    facts = found.metadata
    name, version = facts["Name"], facts["Version"]
    out: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference(name, version),
        "name": name,
        "version": version,
        "purl": reference(name, version),
    }
    if facts["Summary"]:
        out["description"] = facts["Summary"]
    known = licences(found)
    if known:
        out["licenses"] = known
    pages = [line.partition(", ")[2] for line in facts.get_all("Project-URL") or ()]
    page = facts["Home-page"] or next((p for p in pages if p.startswith("http")), "")
    if page:
        out["externalReferences"] = [{"type": "website", "url": page}]
    return out


def licences(found: Distribution) -> list[dict[str, Any]]:
    """As the package names them: an expression of SPDX, else names."""
    facts = found.metadata
    if facts["License-Expression"]:
        return [{"expression": facts["License-Expression"]}]
    classified = [
        c.rpartition(" :: ")[2] for c in facts.get_all("Classifier") or () if c.startswith("License ::")
    ]
    names = [name for name in classified if name != "OSI Approved"]
    text = (facts["License"] or "").strip()
    if not names and text and "\n" not in text and len(text) < 80:
        names = [text]
    return [{"license": {"name": name}} for name in names]


def model(path: Path) -> dict[str, Any]:
    """The component of a bundled model."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{path.stem}",
        "name": path.stem,
        "version": digest[:12],
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def needs(found: list[Distribution]) -> list[dict[str, Any]]:
    """Who needs whom, among those that are there."""
    known = {normal(d.metadata["Name"]): reference(d.metadata["Name"], d.metadata["Version"]) for d in found}
    out = []
    for one in found:
        names = {normal(re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0]) for r in one.requires or ()}
        mine = known[normal(one.metadata["Name"])]
        out.append(
            {"ref": mine, "dependsOn": sorted(known[n] for n in names & known.keys() if known[n] != mine)}
        )
    return out


def document() -> dict[str, Any]:
    found = distributions()
    ours = next(d for d in found if normal(d.metadata["Name"]) == "edgecam")
    models = [model(path) for path in sorted(resources.folder("models").glob("*.tflite"))]
    components = [package(d) for d in found if d is not ours] + models
    seed = json.dumps([edgecam.__version__, components], sort_keys=True)
    when = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)),
            "component": package(ours) | {"type": "application"},
        },
        "components": components,
        "dependencies": needs(found),
    }


def main() -> None:
    text = json.dumps(document(), ensure_ascii=False, indent=1) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
