"""``edgecam devices``: what this machine has to see and to think with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from edgecam.cli import console
from edgecam.cli.base import HeadedOption, new_command

if TYPE_CHECKING:
    from edgecam.cameras import CameraInfo

EXAMPLES = """
edgecam devices
edgecam devices --json | jq '.cameras[].path'
edgecam run /dev/video0
"""


@new_command(
    "devices",
    help="List cameras with their formats, sizes and rates, Edge TPUs, and the interpreters that run models.",
    examples=EXAMPLES,
    params=[HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON.")],
)
def devices(as_json: bool) -> None:
    from edgecam import accelerators, cameras

    found = cameras.list_cameras()
    csi = cameras.csi_cameras()
    tpus = accelerators.edge_tpus()
    runtimes = interpreters()
    if as_json:
        console.write_json(
            {
                "cameras": [camera.as_dict() for camera in found],
                "picamera": csi,
                "edge_tpus": [
                    {
                        "device": tpu.device,
                        "path": str(tpu.path),
                        "accessible": tpu.accessible,
                        "state": tpu.state,
                        "speed": tpu.speed,
                        "remedy": "" if tpu.accessible else tpu.remedy,
                    }
                    for tpu in tpus
                ],
                "interpreters": runtimes,
            }
        )
        return
    print_cameras(found, csi)
    print()
    if tpus:
        rows = [
            (
                tpu.device,
                str(tpu.path),
                f"USB at {tpu.speed} Mbit/s" if tpu.speed else "",
                tpu.state if tpu.accessible else f"no permission: {tpu.remedy}",
            )
            for tpu in tpus
        ]
        console.table(("Edge TPU", "file", "bus", "state"), rows)
    else:
        print("Edge TPUs: none")
    print()
    console.table(
        ("interpreter", "version", "state"), [(r["name"], r["version"], r["state"]) for r in runtimes]
    )


def print_cameras(found: list[CameraInfo], csi: list[str]) -> None:
    for number, model in enumerate(csi):
        print(f"picamera:{number}  {model} (CSI port)")
    if not found and not csi:
        print("Cameras: none (demo: and synthetic: need none)")
    for camera in found:
        where = ", ".join(filter(None, (camera.driver, camera.bus)))
        print(f"{camera.path}  {camera.name}" + (f" ({where})" if where else ""))
        for link in camera.links:
            print(f"  always the same: {link}")
        if camera.problem:
            print(f"  {camera.problem}")
        rows = [row for form in camera.as_dict()["formats"] for row in format_rows(form)]
        if rows:
            console.table(("format", "size", "frames a second", ""), rows)


def format_rows(form: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The table rows of one pixel format."""
    note = "" if form["decodable"] else "not supported"
    rows = []
    for sizes in form["sizes"]:
        size = "x".join(map(str, sizes["size"]))
        if "min" in sizes:
            size = f"{'x'.join(map(str, sizes['min']))} to {size}"
        rates = ", ".join(f"{rate:g}" for rate in sizes["rates"])
        rows.append((form["format"], size, rates, note))
    return rows or [(form["format"], "", "", note)]


def interpreters() -> list[dict[str, str]]:
    """Each interpreter package, its version, and whether it works: seen by making an interpreter."""
    from edgecam import catalogue
    from edgecam.engines import runtimes
    from edgecam.errors import EngineError

    out = []
    smallest = min(catalogue.bundled().values(), key=lambda path: path.stat().st_size, default=None)
    for name in runtimes.names("auto"):
        version, state = "", "works"
        try:
            runtime = runtimes.load(name)
            version = runtime.label.partition(" ")[2]
            if smallest is not None:
                runtime.interpreter(smallest.read_bytes(), 1, [])
        except EngineError as error:
            state = str(error)
        out.append({"name": name, "version": version, "state": state})
    python = sys.version_info
    out.append({"name": "Python", "version": f"{python.major}.{python.minor}.{python.micro}", "state": ""})
    return out
