"""Static files, read once and named by their content, so that browsers may keep them for ever."""

import mimetypes
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True)
class Asset:
    """One static file: the name it is served under (app.3f2a9c01.css), its type and its octets."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Assets:
    """All static files of a folder, in memory; they are few and small."""

    folder: Path = FOLDER

    @cached_property
    def _by_source(self) -> dict[str, Asset]:
        return {path.name: _read(path) for path in sorted(self.folder.iterdir()) if path.is_file()}

    @cached_property
    def _by_name(self) -> dict[str, Asset]:
        return {asset.name: asset for asset in self._by_source.values()}

    def url(self, source: str) -> str:
        """The address of a file by its name in the folder. Raises KeyError for a file that is not there."""
        return f"/static/{self._by_source[source].name}"

    def find(self, name: str) -> Asset | None:
        """The file served under a name, or None."""
        return self._by_name.get(name)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(f"{path.stem}.{sha256(content).hexdigest()[:10]}{path.suffix}", guessed, content)
