"""The style ratchet: what the linters cannot see, with bounds that only ever get tighter.

Counts are kept here; one that falls must be lowered, so that it never rises again.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 420
FUNCTION_LINES_MAX = 45
FUNCTION_LINES_P90_MAX = 25
FUNCTION_LINES_MEDIAN_MAX = 8
BANNED_NAMES = ("util", "utils", "misc", "common", "helpers", "helper", "base", "manager")
TYPE_IGNORES = 0
STUBS = ("TODO", "FIXME", "XXX", "NotImplementedError", "pytest.skip", "mark.skip", "mark.xfail")


def complaints() -> Iterator[str]:
    """Everything that is out of bounds."""
    sources = {path: path.read_text() for path in sorted((ROOT / "src").rglob("*.py"))}
    lengths: list[int] = []
    for path, text in sources.items():
        name = path.relative_to(ROOT)
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{name}: {lines} lines; more than {FILE_LINES_MAX}"
        if path.stem in BANNED_NAMES:
            yield f"{name}: a module is named after what it holds"
        for function, size in _functions(ast.parse(text)):
            lengths.append(size)
            if size > FUNCTION_LINES_MAX:
                yield f"{name}: {function} has {size} lines; more than {FUNCTION_LINES_MAX}"
    yield from _spread(lengths)
    yield from _counts(sources)


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions with the lines of their bodies, docstrings left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, node.end_lineno - body[0].lineno + 1 if body else 0


def _spread(lengths: list[int]) -> Iterator[str]:
    median, p90 = statistics.median(lengths), statistics.quantiles(lengths, n=10)[-1]
    if median > FUNCTION_LINES_MEDIAN_MAX:
        yield f"functions have {median} lines in the median; more than {FUNCTION_LINES_MEDIAN_MAX}"
    if p90 > FUNCTION_LINES_P90_MAX:
        yield f"functions have {p90:.0f} lines at the 90th percentile; more than {FUNCTION_LINES_P90_MAX}"


def _counts(sources: dict[Path, str]) -> Iterator[str]:
    ignores = sum(text.count("# type: ignore") for text in sources.values())
    if ignores != TYPE_IGNORES:
        yield f"{ignores} ignored types instead of {TYPE_IGNORES}: type it, or lower the count in tools/ratchet.py"
    tests = {
        path: path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in path.parts
    }
    for path, text in {**sources, **tests}.items():
        for word in STUBS:
            if word in text:
                yield f"{path.relative_to(ROOT)}: {word}; finish it, or open an issue"


if __name__ == "__main__":
    found = list(complaints())
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
