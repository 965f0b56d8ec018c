"""Models by name: bundled, fetched, available."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam import accelerators, build, catalogue, contract, registry
from edgecam.config import Settings
from edgecam.errors import DelegateError, ModelError, UnknownNameError
from edgecam.sources.images import load_picture
from edgecam.types import Classification, Detections, Frame
from tests.http_files import Files, serve


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of fetched models."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(catalogue, "SYSTEM", tmp_path / "var")
    return tmp_path


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """A server on this machine in the place of those that the catalogue names."""
    with serve() as state:
        text = catalogue.TOML.read_text(encoding="utf-8")
        (home / "catalogue.toml").write_text(re.sub(r'url = "https://.*/', f'url = "{state.url}/', text))
        monkeypatch.setattr(catalogue, "TOML", home / "catalogue.toml")
        yield state


# The catalogue itself


@pytest.mark.parametrize("name", list(catalogue.entries()))
def test_an_entry_is_whole(name: str) -> None:
    entry = catalogue.entries()[name]
    assert re.fullmatch(r"[0-9a-f]{64}", entry.remote.sha256)
    assert 100_000 < entry.remote.size < 20_000_000
    # What the address gives may never change: a commit, or an archive with its date.
    assert re.search(r"/[0-9a-f]{40}/|_\d{4}_\d\d_\d\d\.zip$", entry.remote.url)
    assert entry.remote.url.startswith("https://")
    assert entry.use
    overrides = catalogue.overrides(entry, Path("folder"))
    assert overrides.decoder in registry.HEADS
    assert overrides.task in ("classify", "detect")
    assert overrides.labels is not None
    if name.endswith("-edgetpu"):
        plain = catalogue.entries()[name.removesuffix("-edgetpu")]
        assert entry.filename == plain.filename.replace(".tflite", "_edgetpu.tflite")


def test_no_two_entries_share_a_file() -> None:
    entries = catalogue.entries().values()
    assert len({entry.filename for entry in entries}) == len(entries)
    assert len({entry.remote.sha256 for entry in entries}) == len(entries)
    assert not set(catalogue.entries()) & set(catalogue.bundled())


@pytest.mark.real
def test_hashes_are_those_of_the_real_files(real: Path) -> None:
    known = {}
    for line in (real / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        known[name] = digest
    models = {
        "mobilenet-v1-025-128": "mobilenet_v1_0.25_128_quant.tflite",
        "mobilenet-v2": "mobilenet_v2_1.0_224_quant.tflite",
        "mobilenet-v2-edgetpu": "mobilenet_v2_1.0_224_quant_edgetpu.tflite",
        "coco-ssd-mobilenet-v1": "coco_ssd_mobilenet_v1_1.0_quant.tflite",
    }
    for name, file in models.items():
        remote = catalogue.entries()[name].remote
        assert (remote.sha256, remote.size) == (known[file], (real / file).stat().st_size)


# Finding


def test_a_bundled_model_is_found_by_name() -> None:
    found = catalogue.find("detect-coco")
    assert found.path == catalogue.bundled()["detect-coco"]
    assert found.overrides == contract.Overrides()


def test_a_path_is_found(home: Path) -> None:
    (home / "m.tflite").write_bytes(b"")
    assert catalogue.find(str(home / "m.tflite")).path == home / "m.tflite"


@pytest.mark.parametrize("name", ["absent.tflite", "./detect-coco", "/no/such/model"])
def test_an_absent_path_is_said(name: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(name)}: no such file: name a .tflite file"):
        catalogue.find(name)


def test_a_folder_is_no_model(home: Path) -> None:
    with pytest.raises(ModelError, match="a folder"):
        catalogue.find(str(home))


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'detect-coco'"):
        catalogue.find("detekt-coco")
    with pytest.raises(UnknownNameError, match="did you mean 'mobilenet-v2'"):
        catalogue.get("mobilnet-v2")


def test_a_model_yet_to_be_fetched_names_the_command() -> None:
    with pytest.raises(
        ModelError, match="'mobilenet-v2' is not on this machine yet: edgecam model get mobilenet-v2"
    ):
        catalogue.find("mobilenet-v2")


def test_a_service_finds_what_lies_in_its_folder(home: Path) -> None:
    (home / "var").mkdir()
    (home / "var" / "mobilenet-v2.tflite").write_bytes(b"x")
    found = catalogue.find("mobilenet-v2")
    assert found.path == home / "var" / "mobilenet-v2.tflite"
    assert found.overrides.labels == home / "var" / "imagenet.labels.txt"


def test_the_store_follows_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalogue.store() == home / "data" / "edgecam" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    assert catalogue.store() == Path("/home/ann/.local/share/edgecam/models")


def test_a_user_without_a_home_uses_the_services_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert catalogue.store() == catalogue.SYSTEM


# Fetching


def test_nothing_is_fetched_for_a_bundled_model(server: Files) -> None:
    assert catalogue.get("detect-coco") == catalogue.bundled()["detect-coco"]
    assert server.asked == []


@pytest.mark.real
def test_the_list_tells_what_is_where(server: Files, real: Path, home: Path) -> None:
    states = {entry.name: entry.state for entry in catalogue.listing()}
    assert states["detect-coco"] == "bundled"
    assert states["mobilenet-v1-025-128"] == "available"
    offer(server, real)
    path = catalogue.get("mobilenet-v1-025-128")
    listed = {entry.name: entry for entry in catalogue.listing()}["mobilenet-v1-025-128"]
    assert (listed.state, listed.path, listed.size) == ("fetched", path, path.stat().st_size)


@pytest.mark.parametrize("name", list(catalogue.bundled()))
def test_a_bundled_model_says_what_it_is(name: str) -> None:
    listed = {entry.name: entry for entry in catalogue.listing()}[name]
    assert listed.task in ("classify", "detect")
    assert listed.use


def offer(server: Files, real: Path) -> None:
    """Put the real files on the server, as the catalogue's addresses name them."""
    for path in real.iterdir():
        server.files[f"/{path.name}"] = path.read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.write(real / "coco_ssd_mobilenet_v1_1.0_quant.tflite", "detect.tflite")
    server.files["/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.zip"] = archive.getvalue()


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "picture", "label"),
    [
        ("mobilenet-v1-025-128", "parrot.jpg", "macaw"),
        ("mobilenet-v2", "cat.bmp", "Egyptian cat"),
        ("coco-ssd-mobilenet-v1", "cat_720p.jpg", "cat"),
    ],
)
def test_get_makes_a_foreign_model_run_without_a_flag(
    server: Files, real: Path, name: str, picture: str, label: str
) -> None:
    offer(server, real)
    with pytest.raises(ModelError):
        build.load_model(Settings(model=name))
    path = catalogue.get(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == catalogue.entries()[name].remote.sha256
    model = build.load_model(Settings(model=name))
    result = model.run(Frame(0, load_picture(real / picture)))
    model.engine.close()
    assert isinstance(result, (Classification, Detections))
    assert model.labels[int(result.class_id[0])] == label


@pytest.mark.real
def test_labels_are_shared_and_fetched_once(server: Files, real: Path, home: Path) -> None:
    offer(server, real)
    folder = home / "elsewhere"
    catalogue.get("mobilenet-v1-025-128", folder)
    catalogue.get("mobilenet-v2", folder)
    assert [path for path, _ in server.asked].count("/imagenet_labels.txt") == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "imagenet.labels.txt",
        "mobilenet-v1-025-128.tflite",
        "mobilenet-v2.tflite",
    ]
    # A damaged label file is mended by getting the model again.
    (folder / "imagenet.labels.txt").write_text("cat\n")
    catalogue.get("mobilenet-v2", folder)
    assert (folder / "imagenet.labels.txt").read_bytes() == (real / "imagenet_labels.txt").read_bytes()


@pytest.mark.real
def test_the_cpu_twin_of_an_edge_tpu_model_is_named(real: Path) -> None:
    if accelerators.edge_tpus():
        pytest.skip("an Edge TPU is plugged in: unplug it")
    store = catalogue.store()
    store.mkdir(parents=True)
    for name, file in {
        "mobilenet-v2": "mobilenet_v2_1.0_224_quant.tflite",
        "mobilenet-v2-edgetpu": "mobilenet_v2_1.0_224_quant_edgetpu.tflite",
    }.items():
        shutil.copy(real / file, store / catalogue.entries()[name].filename)
    shutil.copy(real / "imagenet_labels.txt", store / "imagenet.labels.txt")
    with pytest.raises(DelegateError, match=re.escape(str(store / "mobilenet-v2.tflite"))):
        build.load_model(Settings(model="mobilenet-v2-edgetpu", device="cpu"))
    model = build.load_model(Settings(model="mobilenet-v2-edgetpu"))
    assert model.engine.notes[0].endswith("; running mobilenet-v2.tflite on the CPU")
    model.engine.close()
