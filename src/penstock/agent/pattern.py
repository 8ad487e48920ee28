"""File patterns: a directory and a glob for names in it.

Rule of this file: pure; only the last part of a path may have wildcards, as in the original.
"""

import re
from typing import Final, NamedTuple

COMPRESSED: Final = (".gz", ".bz2", ".zip")  # rotated away and packed: their lines were read before
_WILD: Final = re.compile(r"[*?\[{]")


class BadPattern(Exception):
    """A pattern that cannot be used; the text completes "filePattern ..."."""


class FilePattern(NamedTuple):
    """Which files a flow reads."""

    directory: str
    names: "re.Pattern[str]"
    one_file: bool  # there are no wildcards: one file, at its time

    def covers(self, name: str) -> bool:
        """Whether a file of the directory is meant."""
        return self.names.fullmatch(name) is not None and not name.endswith(COMPRESSED)


def read_pattern(text: str) -> FilePattern:
    """A pattern of agent.json.  Raises BadPattern."""
    directory, slash, name = text.rpartition("/")
    if not slash:
        raise BadPattern(f"{text!r} must be an absolute path")
    if not text.startswith("/"):
        raise BadPattern(f"{text!r} must be an absolute path")
    if not name or name in (".", ".."):
        raise BadPattern(f"{text!r} names a directory; say which files, e.g. {directory}/*")
    if _WILD.search(directory):
        raise BadPattern(f"{text!r} has wildcards in a directory; they are possible in the file's name alone")
    if "\0" in text:
        raise BadPattern(f"{text!r} has a NUL in it")
    try:
        return FilePattern(directory or "/", re.compile(_expression(name)), _WILD.search(name) is None)
    except re.error as error:
        raise BadPattern(f"{text!r}: {error}") from None


def _expression(glob: str) -> str:
    """A regular expression for a glob with *, ?, [...], {a,b} and backslashes."""
    made, index, braces = [], 0, 0
    while index < len(glob):
        sign = glob[index]
        if sign == "[" and (end := glob.find("]", index + 2)) > 0:
            inner = glob[index + 1 : end]
            negated = inner[0] in "!^"
            members = re.escape(inner[negated:]).replace("\\-", "-")
            made.append(f"[{'^' * negated}{members}]")
            index = end + 1
            continue
        if sign == "\\" and index + 1 < len(glob):
            index += 1
            made.append(re.escape(glob[index]))
        elif sign == "{":
            braces += 1
            made.append("(?:")
        elif sign == "}" and braces:
            braces -= 1
            made.append(")")
        elif sign == "," and braces:
            made.append("|")
        else:
            made.append({"*": ".*", "?": "."}.get(sign) or re.escape(sign))
        index += 1
    if braces:
        raise BadPattern(f"{glob!r} has a brace that is not closed")
    return "(?s:" + "".join(made) + ")"
