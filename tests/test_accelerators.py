"""Finding Edge TPUs in a sysfs made for the test."""

from __future__ import annotations

from pathlib import Path

from edgecam.accelerators import edge_tpus


def usb(root: Path, name: str, vendor: str, product: str, bus: int, number: int, speed: int = 5000) -> None:
    folder = root / "sys/bus/usb/devices" / name
    folder.mkdir(parents=True)
    values = {"idVendor": vendor, "idProduct": product, "busnum": bus, "devnum": number, "speed": speed}
    for file, value in values.items():
        (folder / file).write_text(f"{value}\n")
    node = root / f"dev/bus/usb/{bus:03d}/{number:03d}"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()


def find(root: Path) -> list[str]:
    return [
        f"{tpu.device} {tpu.path.relative_to(root)} {tpu.state} {tpu.speed}"
        for tpu in edge_tpus(root / "sys", root / "dev")
    ]


def test_both_usb_ids_are_known(tmp_path: Path) -> None:
    usb(tmp_path, "2-1", "18d1", "9302", 2, 7)
    usb(tmp_path, "1-1.4", "1a6e", "089a", 1, 12, speed=480)
    usb(tmp_path, "1-1", "1d6b", "0002", 1, 1)
    assert find(tmp_path) == [
        "usb:0 dev/bus/usb/001/012 not used yet 480",
        "usb:1 dev/bus/usb/002/007 ready 5000",
    ]


def test_pcie_ones_are_numbered_in_order(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for name in ("apex_10", "apex_2", "apex_x", "apex"):
        (tmp_path / "dev" / name).touch()
    assert find(tmp_path) == ["pci:0 dev/apex_2 ready 0", "pci:1 dev/apex_10 ready 0"]


def test_one_that_may_not_be_opened_says_so(tmp_path: Path) -> None:
    usb(tmp_path, "1-1", "18d1", "9302", 1, 2)
    (tmp_path / "dev/apex_0").touch()
    assert all(tpu.accessible for tpu in edge_tpus(tmp_path / "sys", tmp_path / "dev"))
    (tmp_path / "dev/bus/usb/001/002").unlink()  # as absent as forbidden: the tests may run as root
    (stick, card) = edge_tpus(tmp_path / "sys", tmp_path / "dev")
    assert (stick.kind, stick.accessible, card.kind, card.accessible) == ("usb", False, "pci", True)
    assert "udev" in stick.remedy
    assert "apex" in card.remedy


def test_half_a_sysfs_is_no_error(tmp_path: Path) -> None:
    assert find(tmp_path) == []
    folder = tmp_path / "sys/bus/usb/devices/1-1"
    folder.mkdir(parents=True)
    (folder / "idVendor").write_text("18d1")
    (folder / "idProduct").write_text("9302")
    (folder / "devnum").write_text("many")
    assert find(tmp_path) == []


def test_this_machine_can_be_looked_at() -> None:
    assert isinstance(edge_tpus(), list)
