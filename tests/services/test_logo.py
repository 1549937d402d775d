from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from keyturn.errors import ManifestError
from keyturn.services.logo import LARGE_PIXELS, LARGEST_FILE, SMALL_PIXELS, read_logo

EXAMPLE = Path(__file__).parents[2] / "integrations" / "logos" / "acme.png"


def image(path: Path, size: tuple[int, int], image_format: str = "PNG", colour: Any = "navy") -> Path:
    """Write a plain picture."""
    Image.new("RGBA" if isinstance(colour, tuple) else "RGB", size, colour).save(path, image_format)
    return path


def test_both_sizes_are_made_of_a_square_image(tmp_path: Path) -> None:
    """Gong asks for a small and a large logo; one file serves for both."""
    path = image(tmp_path / "x.png", (100, 100), colour=(255, 0, 0, 128))
    logo = read_logo(path)
    assert logo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for encoded, pixels in ((logo.large, LARGE_PIXELS), (logo.small, SMALL_PIXELS)):
        with Image.open(BytesIO(base64.b64decode(encoded))) as made:
            assert (made.format, made.size, made.getpixel((5, 5))) == ("PNG", (pixels, pixels), (255, 0, 0, 128))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_common_formats_are_read(image_format: str, tmp_path: Path) -> None:
    """StackOne's guide asks for any square image."""
    assert read_logo(image(tmp_path / "x", (80, 80), image_format)).small


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG that claims to be huge."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    chunks = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (EXAMPLE.read_bytes()[:900], "not an image"),
        (bomb(5000, 5000), "wider or higher than 4096"),
        (bomb(12_000, 12_000), "wider or higher than 4096"),
        (bomb(60_000, 60_000), "wider or higher than 4096"),
        (b"\0" * (LARGEST_FILE + 1), "larger than"),
    ],
    ids=["empty", "svg", "cut off", "large", "huge", "bomb", "heavy"],
)
def test_files_that_are_no_usable_logo_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    """Malformed and hostile images are refused before they are unpacked."""
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_logo(path)
