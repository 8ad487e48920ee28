"""What connections hold of bodies without room: counted, shared, and given back to the last byte."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.http2.unasked import PARCEL_BYTES, Unasked
from penstock.server.room import BodyRoom
from penstock.wire.route import Head

FREE_BYTES = 100_000
HEAD = Head("POST", "/", {}, {}, ())


def test_connection_when_others_hold_everything_then_it_may_still_hold_what_is_free() -> None:
    room = BodyRoom(PARCEL_BYTES)
    greedy, modest = Unasked(room, FREE_BYTES), Unasked(room, FREE_BYTES)
    assert greedy.hold(FREE_BYTES + 1, HEAD)
    assert room.free_bytes == 0
    assert modest.hold(FREE_BYTES, HEAD)
    assert not modest.hold(1, HEAD)
    modest.let_go(1)
    greedy.let_go(FREE_BYTES + 1)
    assert modest.hold(1, HEAD)


@given(st.lists(st.tuples(st.integers(0, 2), st.one_of(st.integers(1, 16_384), st.none())), max_size=400))
def test_connections_when_they_hold_and_let_go_in_any_order_then_all_is_covered_and_comes_back(
    steps: list[tuple[int, int | None]],
) -> None:
    room = BodyRoom(4 * PARCEL_BYTES)
    connections = [Unasked(room, FREE_BYTES) for _ in range(3)]
    held: list[list[int]] = [[], [], []]
    for which, size in steps:
        if size is None:
            if held[which]:
                connections[which].let_go(held[which].pop())
        elif connections[which].hold(size, HEAD):
            held[which].append(size)
        else:
            connections[which].let_go(size)
        beyond = sum(max(0, sum(sizes) - FREE_BYTES) for sizes in held)
        assert beyond <= 4 * PARCEL_BYTES - room.free_bytes
    for connection, sizes in zip(connections, held, strict=True):
        for size in sizes:
            connection.let_go(size)
    assert room.free_bytes == 4 * PARCEL_BYTES
