"""The app logo: read with suspicion, checked for being square, and made into the two sizes that Gong asks for."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from keyturn.errors import ManifestError

# Gong asks for a small logo (app management) and a large one (consent screen) and publishes no pixel sizes. These are
# sharp at the sizes such lists (32) and consent pages (128) commonly show, on screens of double density.
SMALL_PIXELS = 64
LARGE_PIXELS = 256

LARGEST_FILE = 2 * 1024 * 1024  # bytes
LARGEST_SIDE = 4096  # pixels; a few kilobytes of PNG can claim many gigabytes of picture
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


@dataclass(frozen=True, slots=True)
class Logo:
    """A square image in both sizes.

    Attributes:
        sha256: of the file as it was read, 64 hex digits.
        large: base64 PNG of `LARGE_PIXELS`.
        small: base64 PNG of `SMALL_PIXELS`.
    """

    sha256: str
    large: str = field(repr=False)
    small: str = field(repr=False)


def read_logo(path: Path) -> Logo:
    """Read an image and make both sizes of it.

    Raises:
        ManifestError: the file is missing, too large, no image, or not square.
    """
    content = _content(path)
    try:
        return _made(content)
    except ManifestError as fault:
        raise ManifestError(str(path), fault.problem, fault.remedy) from None


@lru_cache(maxsize=64)  # a fleet's manifests show few logos, and making the sizes takes longer than all else in a file
def _made(content: bytes) -> Logo:
    image = _square(content)
    sizes = [base64.b64encode(_png(_resized(image, pixels))).decode() for pixels in (LARGE_PIXELS, SMALL_PIXELS)]
    return Logo(hashlib.sha256(content).hexdigest(), *sizes)


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ManifestError(str(path), "the logo is not there", "Give its path relative to the manifest.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as fault:
        raise ManifestError(str(path), f"the logo cannot be read: {fault.strerror}", "Check its permissions.") from None
    if len(content) > LARGEST_FILE:
        raise ManifestError(str(path), f"the logo is larger than {LARGEST_FILE} bytes", "Save it smaller.")
    return content


def _square(content: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            _check_size(*image.size)
            return ImageOps.exif_transpose(image).convert("RGBA")
    except ManifestError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except Exception:  # noqa: BLE001  decoders let out whatever a malformed file makes them stumble over
        remedy = f"Save it as one of {', '.join(_FORMATS)}."
        raise ManifestError("", "the logo is not an image that can be read", remedy) from None


def _check_size(width: int, height: int) -> None:
    if max(width, height) > LARGEST_SIDE:
        raise _too_many_pixels()
    if width != height:
        raise ManifestError("", f"the logo is not square: {width} by {height} pixels", "Crop or pad it.")


def _too_many_pixels() -> ManifestError:
    return ManifestError("", f"the logo is wider or higher than {LARGEST_SIDE} pixels", "Save it smaller.")


def _resized(image: Image.Image, pixels: int) -> Image.Image:
    resized = image.resize((pixels, pixels), Image.Resampling.LANCZOS)
    return resized.convert("RGB") if resized.getchannel("A").getextrema() == (255, 255) else resized


def _png(image: Image.Image) -> bytes:
    encoded = BytesIO()
    image.save(encoded, "PNG", optimize=True)
    return encoded.getvalue()
