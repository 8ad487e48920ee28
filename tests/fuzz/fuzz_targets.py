"""The entrances that are fuzzed, by name.

A target is made once and given bytes; what it raises is a finding, and so is taking too long or too much memory.  Some of them keep a
server behind them, which throws away what it was told every few hundred requests.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import fuzz_documents
from fuzz_doors import ConnectionBytes, EnforcedExchange, Http2Bytes, OpenExchange
from fuzz_policies import Tokens, policy

CORPUS: Final = Path(__file__).parent / "corpus"
FOUND: Final = Path(__file__).parent / "found"

Attack = Callable[[bytes], None]

TARGETS: Final[dict[str, Callable[[], Attack]]] = {
    "exchange": OpenExchange,
    "enforced": EnforcedExchange,
    "connection": ConnectionBytes,
    "http2": Http2Bytes,
    "policy": lambda: policy,
    "tokens": Tokens,
    "json": lambda: fuzz_documents.TARGETS["json"],
    "cbor": lambda: fuzz_documents.TARGETS["cbor"],
    "rpc": lambda: fuzz_documents.TARGETS["rpc"],
    "expression": lambda: fuzz_documents.TARGETS["expression"],
    "rest": lambda: fuzz_documents.TARGETS["rest"],
    "form": lambda: fuzz_documents.TARGETS["form"],
    "eventstream": lambda: fuzz_documents.TARGETS["eventstream"],
    "aggregate": lambda: fuzz_documents.TARGETS["aggregate"],
    "signature": lambda: fuzz_documents.TARGETS["signature"],
}


def kept(target: str) -> list[Path]:
    """The kept corpus of a target."""
    return sorted((CORPUS / target).iterdir())


@contextmanager
def target(name: str) -> Iterator[Attack]:
    """A target, and its end."""
    attack = TARGETS[name]()
    try:
        yield attack
    finally:
        if isinstance(attack, OpenExchange | EnforcedExchange | ConnectionBytes | Http2Bytes):
            attack.close()
