"""What keeps a model out: each reason its line, nothing left behind. Real models, a real child process."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from edgecam import build_slots, metadata, tflite
from edgecam.config import Settings
from edgecam.contract import ModelSpec
from edgecam.errors import EdgecamError, ModelError, QualityError, UsageError
from edgecam.minisign import SecretKey, SignatureError
from edgecam.slots import check
from edgecam.slots.check import Rules
from edgecam.slots.store import Store
from tests.conftest import ROOT

FACE = ROOT / "models/face.tflite"
DATA = FACE.read_bytes()
KEY, STRANGER = SecretKey.new(), SecretKey.new()
SIGNED = Rules(keys=[KEY.public], signed=True)


def with_contract(**change: object) -> bytes:
    """The face model with another contract."""
    zipped = DATA.index(b"PK\x03\x04")
    appended = metadata.Appended(tflite.load(FACE).data)
    out = BytesIO()
    out.write(DATA[:zipped])
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        for name in appended.names:
            content = appended.read(name) or b""
            if name == "edgecam.json":
                content = json.dumps(json.loads(content) | change).encode()
            archive.writestr(name, content)
    return out.getvalue()


def refused(store: Store, data: bytes, rules: Rules, signature: str = "") -> EdgecamError:
    with pytest.raises(EdgecamError) as caught:
        check.install(store, data, signature, rules, title="new.tflite")
    assert not store.read().slots
    assert not list(store.folder.glob("models/*"))
    assert "\n" not in str(caught.value) and str(store.folder) not in str(caught.value)
    return caught.value


def test_a_good_model_becomes_a_slot(tmp_path: Path) -> None:
    store = Store(tmp_path)
    slot = check.install(store, DATA, KEY.sign(DATA), SIGNED, title="face.tflite")
    assert (slot.name, slot.model, slot.task, slot.key) == ("face-1.0.0", "face", "detect", KEY.public.name)
    assert slot.golden == 8 and slot.need > 1e6 and slot.ms > 0
    assert store.path(slot.sha256).read_bytes() == DATA
    again = check.install(store, DATA, KEY.sign(DATA), SIGNED, name="front")
    assert [s.name for s in store.read().slots] == ["front"] and again.sha256 == slot.sha256


def test_signatures_are_looked_at_before_anything_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "is not signed" in str(refused(store, b"no model", SIGNED))
    assert "which is not trusted here" in str(refused(store, DATA, SIGNED, STRANGER.sign(DATA)))
    assert "changed or is damaged" in str(refused(store, DATA[:-1], SIGNED, KEY.sign(DATA)))
    assert isinstance(refused(store, DATA, SIGNED, "nonsense"), SignatureError)
    trusting = Rules(keys=[KEY.public])
    assert "not trusted" in str(refused(store, DATA, trusting, STRANGER.sign(DATA)))


def test_a_model_cut_off_or_foreign_or_without_proof_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for cut in (0, 1, 1000, len(DATA) // 2, len(DATA) - 1):
        assert isinstance(refused(store, DATA[:cut], Rules()), ModelError), cut
    bare = DATA[: DATA.index(b"PK\x03\x04")]
    assert "carries no contract" in str(refused(store, bare, Rules()))
    assert "carries no golden samples" in str(refused(store, with_contract(golden=[]), Rules()))
    unproved = check.install(store, with_contract(golden=[]), "", Rules(golden=False))
    assert unproved.golden == 0


def test_a_model_that_fails_its_golden_samples_is_refused(tmp_path: Path) -> None:
    error = refused(Store(tmp_path), with_contract(input={
        "color": "bgr", "resize": "stretch", "mean": [0.0], "std": [1.0]
    }), Rules())  # fmt: skip
    assert isinstance(error, QualityError) and "fails its golden samples here" in str(error)


def test_a_model_that_needs_more_memory_than_it_may_have_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "new.tflite needs 0.3 MB; it may take 0.0 MB" in str(refused(store, DATA, Rules(memory=1000)))
    found = str(refused(store, DATA, Rules(memory=len(DATA) + 1)))
    assert "beside the running model" in found and "needs" in found


def test_what_does_not_fit_the_run_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    def fits(spec: ModelSpec) -> None:
        raise UsageError(f"{spec.name} does not fit")

    assert "face does not fit" in str(refused(Store(tmp_path), DATA, Rules(fits=fits)))
    wants = build_slots.fits(Settings(model="classify-person"))
    with pytest.raises(UsageError, match="face is there to detect, the settings' model to classify"):
        wants(ModelSpec("face", "detect", "blazeface"))


def test_free_memory_is_that_of_the_machine_and_of_the_groups(tmp_path: Path) -> None:
    info, group, groups = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "groups"
    info.write_text("MemTotal: 8000 kB\nMemAvailable: 4000 kB\n")
    assert check.free_memory(info, group, groups) == 4000 * 1024
    (groups / "system/edgecam").mkdir(parents=True)
    group.write_text("0::/system/edgecam\n")
    (groups / "system/edgecam/memory.max").write_text("max\n")
    (groups / "system/memory.max").write_text("2000000\n")
    (groups / "system/memory.current").write_text("1500000\n")
    assert check.free_memory(info, group, groups) == 500_000
    assert check.free_memory(tmp_path / "none", tmp_path / "none", groups) == 0
    assert check.free_memory() > 0


def test_the_settings_make_the_rules(tmp_path: Path) -> None:
    key = tmp_path / "us.pub"
    key.write_text(KEY.public.text)
    rules = Rules.of(Settings(trusted_keys=(str(key),), require_signature=True, slot_memory=20, threads=3))
    assert rules.signed and rules.memory == 20_000_000 and rules.keys[0].key == KEY.public.key
    assert dict(rules.engine)["threads"] == 3


def test_a_program_that_the_owner_may_not_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check.sys, "executable", str(tmp_path))  # type: ignore[attr-defined]
    assert "cannot be run as the owner" in str(caught(tmp_path / "slots", Rules()))


def caught(folder: Path, rules: Rules) -> EdgecamError:
    with pytest.raises(ModelError) as error:
        check.install(Store(folder), DATA, "", rules)
    assert not Store(folder).read().slots
    return error.value


def test_a_bundle_is_a_model_and_the_signature_beside_it(tmp_path: Path) -> None:
    model = tmp_path / "door.tflite"
    model.write_bytes(b"abc")
    assert check.read_bundle(model) == (b"abc", "")
    (tmp_path / "door.tflite.minisig").write_text("signature")
    assert check.read_bundle(model) == (b"abc", "signature")
    with pytest.raises(UsageError, match="cannot be read"):
        check.read_bundle(tmp_path / "gone.tflite")
    with pytest.raises(UsageError, match="cannot be read"):
        check.read_bundle(model, tmp_path / "gone.minisig")
