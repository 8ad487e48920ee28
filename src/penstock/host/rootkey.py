"""The file of the root's access key, in the format of AWS's credentials files.

AWS_SHARED_CREDENTIALS_FILE=<data-dir>/root-credentials aws kinesis list-streams
"""

from pathlib import Path
from typing import Final, NamedTuple

from penstock.host.masterkey import sync_folder, write_private

ROOT_CREDENTIALS_FILE: Final = "root-credentials"  # in the data directory
_SECTION: Final = "default"


class Credentials(NamedTuple):
    """An access key with its secret."""

    access_key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"


def write_credentials(path: Path, access_key_id: str, secret: str) -> None:
    """Write the file, in place of one that is there; only its owner may read it.  Raises OSError."""
    text = f"[{_SECTION}]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n"
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    write_private(new, text.encode())
    new.replace(path)
    sync_folder(path.parent)


def read_credentials(path: Path) -> Credentials | None:
    """What the file holds, or None if there is no such file or no key in it."""
    import configparser  # a start reads no such file

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        held = parser[_SECTION]
        return Credentials(held["aws_access_key_id"], held["aws_secret_access_key"])
    except (FileNotFoundError, KeyError, UnicodeDecodeError, configparser.Error):
        return None
