"""Document paths: where in an item something stands.

Theory.  A path is a name, then names and list indexes.  Finding never fails: what is not there is None.
Rule of this file: pure; values are not changed, `replaced` and `removed` build new ones along the path.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from penstock.core.lease_errors import LeaseError
from penstock.services.leases.values import Item, List, Map, Value

PATH_DEPTH_MAX: Final = 32  # elements of a path

Step = str | int
Path = tuple[Step, ...]  # the first is a name


def path_text(path: Path) -> str:
    """A path as DynamoDB's messages show it: [a, b, [0]]."""
    return "[" + ", ".join(f"[{step}]" if isinstance(step, int) else step for step in path) + "]"


def find(item: Item, path: Path) -> Value | None:
    """What stands at a path."""
    at = item.get(str(path[0]))
    for step in path[1:]:
        match at, step:
            case Map(members), str():
                at = members.get(step)
            case List(values), int() if step < len(values):
                at = values[step]
            case _:
                return None
    return at


def check_apart(kind: str, paths: Sequence[Path]) -> None:
    """Raise PATHS_OVERLAP or PATHS_CONFLICT unless no path is another, contains it, or uses what it uses in another way.

    Cost: linear in the steps of all paths together.
    """
    root: dict[Step, _Node] = {}
    for path in paths:
        level = root
        for depth, step in enumerate(path):
            kin = next(iter(level), step)
            if isinstance(kin, int) != isinstance(step, int):
                raise LeaseError.PATHS_CONFLICT(kind=kind, one=path_text(level[kin].path), two=path_text(path))
            node = level.get(step)
            last = depth == len(path) - 1
            if node is not None and (last or node.ends):
                raise LeaseError.PATHS_OVERLAP(kind=kind, one=path_text(node.path), two=path_text(path))
            if node is None:
                node = level[step] = _Node(path, last)
            level = node.inside


class _Node:
    """A step that some path takes: which did first, and whether it ends here."""

    __slots__ = ("ends", "inside", "path")

    def __init__(self, path: Path, ends: bool) -> None:
        self.path = path
        self.ends = ends
        self.inside: dict[Step, _Node] = {}


def replaced(item: Item, path: Path, value: Value) -> Item:
    """The item with a value at a path; an index past the end of a list appends.  Raises UPDATE_PATH where nothing can stand."""
    name = str(path[0])
    if len(path) == 1:
        return {**item, name: value}
    return {**item, name: _placed(item.get(name), path[1:], value)}


def _placed(at: Value | None, path: Path, value: Value) -> Value:
    step, rest = path[0], path[1:]
    match at, step:
        case Map(members), str() if not rest or step in members:
            return Map({**members, step: _placed(members[step], rest, value) if rest else value})
        case List(values), int() if not rest:
            return List((*values[:step], value, *values[step + 1 :]))
        case List(values), int() if step < len(values):
            return List((*values[:step], _placed(values[step], rest, value), *values[step + 1 :]))
        case _:
            raise LeaseError.UPDATE_PATH()


def removed(item: Item, paths: Iterable[Path]) -> Item:
    """The item without what stands at paths, all of them meant in the item as it is.

    Raises UPDATE_PATH for a path whose container is not there.
    """
    left = dict(item)
    # from behind, so that an index still means what it meant
    for path in sorted(paths, key=lambda path: [(isinstance(step, int), step) for step in path], reverse=True):
        name = str(path[0])
        if len(path) == 1:
            left.pop(name, None)
        else:
            left[name] = _cut(left.get(name), path[1:])
    return left


def _cut(at: Value | None, path: Path) -> Value:
    step, rest = path[0], path[1:]
    match at, step:
        case Map(members), str() if rest:
            return Map({**members, step: _cut(members.get(step), rest)})
        case Map(members), str():
            return Map({name: value for name, value in members.items() if name != step})
        case List(values), int() if rest and step < len(values):
            return List((*values[:step], _cut(values[step], rest), *values[step + 1 :]))
        case List(values), int() if not rest:
            return List((*values[:step], *values[step + 1 :]))
        case _:
            raise LeaseError.UPDATE_PATH()


def project(item: Item, paths: Iterable[Path]) -> Item:
    """What of an item stands at paths, in containers as they are; elements of lists close up."""
    tree: dict[Step, _Wanted] = {}
    for path in paths:
        level = tree
        for step in path[:-1]:
            inside = level.setdefault(step, {})
            assert inside is not None, "no path contains another"
            level = inside
        level[path[-1]] = None
    return _kept_members(item, tree)


_Wanted = dict[Step, "_Wanted"] | None  # None: all of it


def _kept_members(members: Mapping[str, Value], wanted: Mapping[Step, _Wanted]) -> dict[str, Value]:
    kept: dict[str, Value] = {}
    for step, inside in wanted.items():
        value = members.get(step) if isinstance(step, str) else None
        found = None if value is None else _kept(value, inside)
        if found is not None and isinstance(step, str):
            kept[step] = found
    return kept


def _kept(value: Value, wanted: _Wanted) -> Value | None:
    if wanted is None:
        return value
    match value:
        case Map(members):
            kept = _kept_members(members, wanted)
            return Map(kept) if kept else None
        case List(values):
            chosen = [
                found
                for step in sorted(step for step in wanted if isinstance(step, int))
                if step < len(values) and (found := _kept(values[step], wanted[step])) is not None
            ]
            return List(tuple(chosen)) if chosen else None
        case _:
            return None
