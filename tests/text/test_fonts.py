"""Which font draws which character."""

from pathlib import Path

import pytest
from PIL import ImageFont

from edgecam.text import fonts

SCRIPTS = {
    "Latin": "person Ångström Việt ğß",
    "Greek": "σκύλος",
    "Cyrillic": "собака ї",
    "Chinese": "狗猫人自行车龍",
    "Japanese": "ねこカメラ犬、。",
    "Korean": "고양이뷁",
    "Arabic": "كلب پژچ ٪٥",
    "Hebrew": "כלב",
    "Devanagari": "कुत्ता",
    "Bengali": "বিড়াল",
    "Gujarati": "કૂતરો",
    "Gurmukhi": "ਕੁੱਤਾ",
    "Oriya": "କୁକୁର",
    "Tamil": "நாய்",
    "Telugu": "కుక్క",
    "Kannada": "ನಾಯಿ",
    "Malayalam": "നായ",
    "Sinhala": "බල්ලා",
    "Thai": "สุนัขที่",
    "Lao": "ຫມາ",
    "Khmer": "ឆ្កែ",
    "Burmese": "ခွေး",
    "Georgian": "ძაღლი",
    "Armenian": "շուն",
    "Amharic": "ውሻ",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_bundled_fonts_cover_the_script(script: str) -> None:
    missing = [c for c in SCRIPTS[script] if not any(face.covers(c) for face in fonts.bundled())]
    assert not missing


@pytest.mark.parametrize("face", fonts.bundled(), ids=lambda face: face.path.stem)
def test_coverage_is_what_freetype_draws(face: fonts.Face) -> None:
    """A covered letter looks unlike the font's mark for missing glyphs; an uncovered one looks like it."""
    font = ImageFont.truetype(str(face.path), 32, layout_engine=ImageFont.Layout.BASIC)
    missing = bytes(font.getmask("\U000f0000"))
    letters = [c for text in SCRIPTS.values() for c in text if c.isalpha()]
    assert any(face.covers(c) for c in letters)
    for letter in letters:
        assert (bytes(font.getmask(letter)) != missing) == face.covers(letter), letter


def test_every_bundled_font_has_its_licence_beside_it() -> None:
    assert "SIL OPEN FONT LICENSE" in (fonts.FOLDER / "OFL.txt").read_text()
    assert "Apache License" in (fonts.FOLDER / "APACHE-2.0.txt").read_text()
    readme = (fonts.FOLDER / "README.md").read_text()
    for path in fonts.FOLDER.glob("*.ttf"):
        assert path.stem.removeprefix("NotoSans").removesuffix("-Regular") in readme


def test_broken_font_files_cover_nothing(tmp_path: Path) -> None:
    good = (fonts.FOLDER / "NotoSansHebrew-Regular.ttf").read_bytes()
    for name, data in {
        "empty": b"",
        "text": b"not a font at all",
        "cut": good[:300],
        "noise": bytes(range(256)) * 40,
        "ttc": b"ttcf" + b"\xff" * 40,
    }.items():
        path = tmp_path / f"{name}.ttf"
        path.write_bytes(data)
        assert not fonts.Face(path).covers("א"), name
    assert not fonts.Face(tmp_path / "absent.ttf").covers("a")


def test_unknown_character_is_looked_for_in_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Some-Bold.ttf").write_bytes((fonts.FOLDER / "NotoSansThai-Regular.ttf").read_bytes())
    (tmp_path / "Some-Regular.ttf").write_bytes((fonts.FOLDER / "NotoSansThai-Regular.ttf").read_bytes())
    monkeypatch.setattr(fonts, "SYSTEM_FOLDERS", (tmp_path, tmp_path / "absent"))
    monkeypatch.setattr(fonts, "bundled", lambda: (fonts.Face(fonts.FOLDER / fonts.BASE),))
    fonts.system.cache_clear()
    fonts.face_for.cache_clear()
    try:
        found = fonts.face_for("ส")
        assert found is not None and found.path == tmp_path / "Some-Regular.ttf"
        assert fonts.face_for("\U000f0000") is None
    finally:
        fonts.system.cache_clear()
        fonts.face_for.cache_clear()
