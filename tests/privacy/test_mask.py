"""Masks as people write them."""

import tomllib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgecam.privacy.mask import Mask, Masks

parts = st.floats(0, 1, allow_subnormal=False).map(lambda v: round(v, 6))


@given(
    points=st.lists(st.tuples(parts, parts), min_size=3, max_size=6),
    fill=st.sampled_from(["solid", "pixelate"]),
    model=st.booleans(),
    name=st.text("abc äöü日本", max_size=8).map(lambda text: " ".join(text.split())),
)
def test_text_and_toml_give_the_mask_back(
    points: list[tuple[float, float]], fill: str, model: bool, name: str
) -> None:
    try:
        mask = Mask(tuple(points), name, fill, model)  # type: ignore[arg-type]
    except ValueError:
        assume(False)
    assert Mask.parse(mask.text) == mask
    (table,) = tomllib.loads(f"mask = [{mask.toml}]")["mask"]
    assert Mask.take(table) == mask


def test_tables_texts_and_variables_say_the_same() -> None:
    kind = Masks()
    table = {"name": "the door", "points": [[0, 0], [1, 0], [1, 1]], "model": True}
    text = "0,0 1,0 1,1 name=the+door model=yes"
    assert kind.take([table]) == (Mask.parse(text).text,)
    both = kind.parse(f"{text}; 0,0 0.5,0 0.5,0.5 fill=pixelate")
    assert len(both) == 2 and kind.parse(kind.show(both)) == both
    assert kind.take(tomllib.loads(f"mask = {kind.toml(both)}")["mask"])[0] == Mask.parse(text).text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,0 1,1", "a polygon needs at least 3"),
        ("name=door 0,0 1,1", "mask 'door' has 2 points"),
        ("0,0 1.2,0 1,1", r"1.2,0 is not within 0 to 1"),
        ("0,0 -0.1,0 1,1", "is not within 0 to 1"),
        ("0,0 nan,0 1,1", "needs points ="),
        ("0,0 1,1 1,0 0,1", r"crosses itself: edges 1 and 3"),
        ("0,0 0.5,0.5 1,1", "covers nothing"),
        ("0,0 1,0 1,1 fill=blur", "expected one of solid, pixelate"),
        ("0,0 1,0 1,1 colour=red", "a mask has no 'colour'"),
        ("0,0 1,0 1", "needs points ="),
        ("0,0 1,0 x,1", "expected a point X,Y"),
        ("0,0 1,0 1,1 model=perhaps", "expected yes or no"),
    ],
)
def test_what_is_no_mask_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Masks().checked([text])


@pytest.mark.parametrize(
    "table",
    [{}, {"points": 3}, {"points": [[0, 0], [1, 0], [True, 1]]}, {"points": [[0, 0], [1, 0], ["1", 1]]}],
)
def test_tables_without_points(table: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a mask needs points"):
        Masks().take([table])
    with pytest.raises(ValueError, match=r"expected tables: \[\[mask\]\]"):
        Masks().take(table)
