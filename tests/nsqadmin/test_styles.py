"""The style sheet of nsqadmin: text can be read, in light and in dark."""

from __future__ import annotations

import re

import pytest

from nsqtx.nsqadmin.assets import Assets

#: Text, and what it may be on.
PAIRS = [
    *[(text, "paper") for text in ("ink", "quiet", "faint", "accent", "good", "warn", "bad")],
    *[(text, "ground") for text in ("ink", "quiet", "accent")],
    *[("faint", ground) for ground in ("hover", "good-soft", "warn-soft")],
    ("accent", "accent-soft"),
    ("good", "good-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
    ("paper", "accent"),
    ("paper", "bad"),
]


def schemes() -> list[dict[str, str]]:
    """The colours of light, of dark by the switch, and of dark by the system."""
    asset = Assets().find("admin.css")
    assert asset is not None
    blocks = re.findall(r":root(?:\[[^]]*\])? \{(.*?)\}", asset.data.decode(), re.DOTALL)
    return [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks]


def lightness(colour: str) -> float:
    """The relative luminance of WCAG 2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark", "dark by the system"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out(scheme: dict[str, str], text: str, ground: str) -> None:
    """By 4.5 to 1 at least, as WCAG asks for."""
    darker, lighter = sorted((lightness(scheme[text]), lightness(scheme[ground])))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_dark_is_dark_either_way() -> None:
    """By the switch it is the same as by the system."""
    _, switched, by_system = schemes()
    assert switched == by_system
