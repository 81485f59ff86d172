"""T07: whatever comes down the line, no crash, no step, no growth of memory (`make fuzz`)."""

import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.kit.fuzz import AHEAD, BATCH, Storm, Troubled


@pytest.mark.req("T07")
def test_a_storm_of_lines_changes_nothing_moves_no_step_and_leaves_nothing_in_memory():
    storm = Storm(seed=1)
    for _ in range(20):
        storm.batch()
    tracemalloc.start()
    try:
        storm.batch()
        gc.collect()
        before, steps = tracemalloc.get_traced_memory()[0], storm.steps
        for _ in range(20):
            storm.batch()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 4_096  # a byte kept of each line would be 20,000
    assert storm.lines > 40 * BATCH
    assert storm.steps > steps + 20
    # Every way of being refused was taken: one more means that a kind of line is not sent.
    assert storm.errors.keys() == {
        -101, -102, -104, -108, -109, -113, -203, -222, -224, -360, -363
    }  # fmt: skip
    assert all(count >= 10 for count in storm.errors.values())


@pytest.mark.req("T07")
def test_each_good_frame_would_do_something_if_it_came_unchanged():
    """Or this would be a storm in a glass of water."""
    for place in range(len(Storm(seed=1).good) + 1):
        storm = Storm(seed=1)
        commit = storm.pump.clinician.frame(storm.pump.ready(), AHEAD).encode()
        storm.desk.rig.link.take()
        storm.desk.rig.send([*storm.good, commit][place] + b"\n")
        assert b"ERR -2" not in storm.desk.rig.link.take().replace(b"ERR -221", b"")
        assert storm.desk.telemetry.sessions.counter.value == AHEAD


@pytest.mark.req("T07")
def test_the_watch_sees_a_frame_that_gets_through():
    storm = Storm(seed=1)
    storm.batch()
    frame = storm.good[0]
    storm.kinds.append(lambda: frame)
    storm.batch()  # not sent: it is whole
    storm._intact.clear()
    with pytest.raises(Troubled):
        storm.batch()


_EDITS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 8), st.binary(max_size=4)),
    min_size=1,
    max_size=6,
)


@pytest.mark.req("T07")
@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=120),
            st.text(st.characters(codec="ascii"), max_size=120).map(str.encode),
            st.tuples(st.integers(0, 30), _EDITS),
        ),
        max_size=8,
    )
)
def test_no_bytes_change_anything(watched, pieces):
    """Lines cut anywhere: what one leaves open, the next one continues."""
    storm = watched
    before = storm.facts()
    data = bytearray()
    for piece in pieces:
        if isinstance(piece, bytes):
            data += piece
            continue
        number, edits = piece
        line = bytearray(storm.good[number])
        for place, length, new in edits:
            line[place : place + length] = new
        data += line + b"\n"
    storm.send(bytes(data))
    assert storm.facts() == before
    storm.desk.rig.link.take()


@pytest.fixture(scope="module")
def watched():
    storm = Storm(seed=1)
    storm.pump.ready()
    storm.desk.order("acknowledge", 0)
    return storm
