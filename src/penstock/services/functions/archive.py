"""Deployment packages: whether a zip may be kept, and later unpacked, at all.

Theory.  A zip tells its entries in a directory at its end.  What it tells of sizes and places is not believed before it was looked at, and
whoever unpacks it later relies on this: every entry is a file or a folder below the root, none leads out of it, and all of them together
are no larger than Lambda takes.
Rules of this file:
  1. Memory is bounded before anything is read: the directory by its size, an entry by the buffer that it is read through.
  2. Every byte is unpacked once and held against its checksum; that takes time, so it is done beside the loop.
Source: Lambda quotas (250 MB unzipped); what is refused beyond them is ours.
"""

import stat
import struct
import zipfile
import zlib
from io import BytesIO
from typing import Final

from penstock.core.function_errors import FunctionError

UNZIPPED_MAX_BYTES: Final = 262_144_000
DIRECTORY_MAX_BYTES: Final = 16 << 20  # ours: some 100,000 entries with names of usual length
ENTRIES_MAX: Final = 100_000  # ours
SEGMENT_MAX_BYTES: Final = 255  # what file systems take
PATH_MAX_BYTES: Final = 2048
_PIECE_BYTES: Final = 1 << 20
_END: Final = b"PK\x05\x06"  # of the end record, which is at most a comment away from the end
_END_BYTES: Final = 22
_END64: Final = b"PK\x06\x07"
_END64_BYTES: Final = 20
_COMMENT_MAX_BYTES: Final = 65_535
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check(data: bytes) -> None:
    """Raise unless a zip can be unpacked below a folder, as it is.  Cost: 3 ns a byte of what it unpacks to.

    Raises EMPTY_ZIP, NOT_A_ZIP, UNSAFE_ZIP, UNZIPPED_TOO_LARGE.
    """
    if not data:
        raise FunctionError.EMPTY_ZIP()
    _check_end(data)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if not entries:
                raise FunctionError.EMPTY_ZIP()
            _check_entries(entries)
            for entry in entries:
                _read(archive, entry)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        RuntimeError,
        OSError,
        struct.error,
    ):
        raise FunctionError.NOT_A_ZIP() from None


def _check_end(data: bytes) -> None:
    at = data.rfind(_END, max(0, len(data) - _END_BYTES - _COMMENT_MAX_BYTES))
    if at < 0 or at + _END_BYTES > len(data):
        raise FunctionError.NOT_A_ZIP()
    if data[max(0, at - _END64_BYTES) : at].startswith(_END64):
        raise FunctionError.UNSAFE_ZIP(entry="its directory", why="it is a ZIP64")
    count, size_bytes = struct.unpack_from("<HI", data, at + 10)
    if size_bytes > DIRECTORY_MAX_BYTES or count > ENTRIES_MAX:
        raise FunctionError.UNSAFE_ZIP(entry="its directory", why=f"it has more than {DIRECTORY_MAX_BYTES} bytes")


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > ENTRIES_MAX:
        raise FunctionError.UNSAFE_ZIP(entry="its directory", why=f"it has more than {ENTRIES_MAX} entries")
    files: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        why = _problem(entry)
        if why is not None:
            raise FunctionError.UNSAFE_ZIP(entry=ascii(entry.filename[:200]), why=why)
        path = entry.filename.rstrip("/")
        parents = path.split("/")[:-1]
        folders.update("/".join(parents[: depth + 1]) for depth in range(len(parents)))
        (folders if entry.is_dir() else files).add(path)
    both = files & folders
    if both:
        raise FunctionError.UNSAFE_ZIP(entry=ascii(min(both)[:200]), why="it is a file and a folder")
    if sum(entry.file_size for entry in entries) > UNZIPPED_MAX_BYTES:
        raise FunctionError.UNZIPPED_TOO_LARGE(limit=UNZIPPED_MAX_BYTES)


def _problem(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry is not taken; None if nothing is wrong with it."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a symbolic link" if kind == stat.S_IFLNK else "it is neither file nor folder"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type not in _METHODS:
        return "it is neither stored nor deflated"
    return path_problem(entry.orig_filename)


def path_problem(path: str) -> str | None:
    """Why a path is not taken; None if it leads to something below the root."""
    if path.startswith("/") or "\\" in path or (len(path) > 1 and path[1] == ":"):
        return "its path is not relative"
    try:
        encoded = path.removesuffix("/").encode()
    except UnicodeEncodeError:
        return "its path is no UTF-8"
    segments = encoded.split(b"/")
    if any(segment in (b"", b".", b"..") for segment in segments):
        return "its path leads elsewhere"
    if len(encoded) > PATH_MAX_BYTES or max(map(len, segments)) > SEGMENT_MAX_BYTES:
        return "its path is too long"
    return "its path holds a control character" if any(byte < 0x20 or byte == 0x7F for byte in encoded) else None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Unpack an entry to nowhere; `zipfile` reads no more than its stated size, and compares the checksum at its end."""
    left = entry.file_size
    with archive.open(entry) as opened:
        while piece := opened.read(_PIECE_BYTES):
            left -= len(piece)
    if left:
        raise zipfile.BadZipFile("an entry is shorter than it says")
