from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.simulate.overlay.data import OffExposure, PoolUse
from bkgpipe.simulate.overlay.pool import OffPool, describe_spans

_N_CELLS = 7


def _exposure(obs_id, kept, *, livetime=100.0):
    kept = np.array(kept, dtype=bool)
    return OffExposure(
        obs_id=obs_id,
        gti=np.array([[53000.0, 53001.0]]),
        deadc=0.9,
        step_edges=np.linspace(0.0, livetime, len(kept) + 1),
        kept=kept,
    )


def _pool(*holes):
    """Pool of runs of 100 s; each misses some cells for all of its time."""
    exposures = {}
    for number, hole in enumerate(holes, start=1):
        kept = np.ones((3, _N_CELLS), dtype=bool)
        kept[:, list(hole)] = False
        exposures[number] = _exposure(number, kept)
    return OffPool(exposures)


def _serve(pool, livetime, off_ids, *, factors=None, reuse=False):
    factors = factors or [1.0] * len(off_ids)
    return pool.serve(livetime, off_ids, factors=factors, reuse=reuse)


def _given(pieces):
    return np.sum([piece.taken / piece.factor for piece in pieces], axis=0)


def test_a_hole_is_filled_by_the_next_run_alone_where_it_is():
    pieces, lacking = _serve(_pool({2}, {3}), 60.0, [1, 2])

    assert [piece.off_id for piece in pieces] == [1, 2]
    assert np.flatnonzero(pieces[0].taken).tolist() == [0, 1, 3, 4, 5, 6]
    assert np.flatnonzero(pieces[1].taken).tolist() == [2]
    np.testing.assert_allclose(_given(pieces), 60.0)
    assert lacking.max() == 0.0


def test_the_next_target_goes_on_in_each_cell_where_the_last_one_stopped():
    pool = _pool({2}, {3}, ())
    _serve(pool, 60.0, [1, 2, 3])

    pieces, lacking = _serve(pool, 60.0, [1, 2, 3])

    np.testing.assert_allclose(_given(pieces), 60.0)
    assert lacking.max() < 1e-6
    first = pieces[0]
    assert first.start[0] == 60.0
    assert first.taken[0] == pytest.approx(40.0)
    second = pieces[1]
    assert second.start[2] == 60.0
    assert second.filled[0] == pytest.approx(40.0)
    assert second.filled[2] == 0.0


@given(
    st.lists(st.sets(st.integers(0, _N_CELLS - 1), max_size=3), min_size=4, max_size=8),
    st.lists(st.floats(5.0, 60.0), min_size=1, max_size=4),
)
def test_live_time_is_conserved_and_never_given_twice(holes, livetimes):
    pool = _pool(*holes)
    off_ids = list(range(1, len(holes) + 1))
    spans = []
    for livetime in livetimes:
        pieces, lacking = _serve(pool, livetime, off_ids)
        np.testing.assert_allclose(_given(pieces) + lacking, livetime, atol=1e-4)
        spans += pieces

    for off_id in off_ids:
        parts = [piece for piece in spans if piece.off_id == off_id]
        for cell in range(_N_CELLS):
            used = sorted(
                (p.start[cell], p.start[cell] + p.taken[cell])
                for p in parts
                if p.taken[cell] > 0
            )
            ends = [end for _, end in used]
            assert all(
                start >= end
                for (start, _), end in zip(used[1:], ends[:-1], strict=True)
            )


def test_a_run_of_half_the_rate_gives_twice_its_live_time():
    pieces, _ = _serve(_pool(()), 40.0, [1], factors=[2.0])

    np.testing.assert_allclose(pieces[0].taken, 80.0)


def test_used_up_is_told_for_the_cells_that_lack():
    _, lacking = _serve(_pool({2}, {2}), 60.0, [1, 2])

    assert lacking.tolist() == [0, 0, 60.0, 0, 0, 0, 0]


def test_reuse_begins_again_where_it_must_and_tells_so():
    pool = _pool({2}, ())

    pieces, lacking = _serve(pool, 150.0, [1, 2], reuse=True)

    assert lacking.max() < 1e-6
    np.testing.assert_allclose(_given(pieces), 150.0)
    again = [piece for piece in pieces if piece.is_reused.any()]
    assert np.flatnonzero(again[0].taken).tolist() == [2]
    assert again[0].filled[2] == pytest.approx(100.0)
    assert pool.left(2) == pytest.approx(50.0 * 6 / 7)


def test_reuse_cannot_fill_what_no_run_sees():
    _, lacking = _serve(_pool({2}, {2}), 60.0, [1, 2], reuse=True)

    assert lacking[2] == 60.0
    assert lacking[0] == 0.0


def test_no_run_at_all_gives_nothing():
    pieces, lacking = _serve(_pool(), 60.0, [])

    assert pieces == ()
    assert lacking.max() == 60.0


def test_replay_takes_out_what_earlier_targets_got():
    use = PoolUse(
        output="a", obs_id=5, livetime=60.0, off_ids=(1, 2), factors=(1.0, 1.0)
    )
    pool, other = _pool({2}, (), ()), _pool({2}, (), ())
    _serve(other, 60.0, [1, 2])

    pool.replay([use])

    for left, right in zip(
        _serve(pool, 90.0, [1, 2, 3])[0], _serve(other, 90.0, [1, 2, 3])[0], strict=True
    ):
        np.testing.assert_array_equal(left.taken, right.taken)
        np.testing.assert_array_equal(left.start, right.start)


def test_a_run_that_is_spent_is_not_looked_at_again():
    pool = _pool((), ())
    _serve(pool, 100.0, [1, 2])

    pieces, _ = _serve(pool, 10.0, [1, 2])

    assert [piece.off_id for piece in pieces] == [2]
    assert pool.left(1) == pytest.approx(0.0)


def test_steps_in_which_a_cell_is_excluded_offer_nothing():
    kept = np.ones((4, _N_CELLS), dtype=bool)
    kept[1, 5] = False

    assert _exposure(1, kept).kept_livetime.tolist() == [
        100,
        100,
        100,
        100,
        100,
        75,
        100,
    ]


def test_spans_say_what_was_taken_of_which_run():
    pieces, _ = _serve(_pool({2}, ()), 60.0, [1, 2])

    spans = describe_spans(pieces)

    assert spans[0] == (1, 0.0, 60.0, pytest.approx(6 / 7, abs=1e-5))
    assert spans[1] == (2, 0.0, 60.0, pytest.approx(1 / 7, abs=1e-5))


def test_what_is_offered_does_not_shrink_with_use():
    pool = _pool({2}, ())
    _serve(pool, 60.0, [1, 2])

    assert pool.offered([1, 2]).tolist() == [200, 200, 100, 200, 200, 200, 200]


@given(
    st.lists(st.sets(st.integers(0, _N_CELLS - 1), max_size=4), min_size=2, max_size=6),
    st.lists(st.floats(0.3, 3.0), min_size=6, max_size=6),
    st.floats(1.0, 900.0),
    st.booleans(),
)
def test_each_cell_gets_its_live_time_whatever_the_rates(
    holes, factors, livetime, reuse
):
    pool = _pool(*holes)
    off_ids = list(range(1, len(holes) + 1))

    pieces, lacking = _serve(
        pool, livetime, off_ids, factors=factors[: len(holes)], reuse=reuse
    )

    np.testing.assert_allclose(_given(pieces) + lacking, livetime, rtol=1e-6)
    assert lacking.min() >= -1e-9
    offered = pool.offered(off_ids)
    for piece in pieces:
        assert (piece.start + piece.taken <= 100.0 + 1e-9).all()
        # a target is filled without gaps, from its start to its end
        assert (piece.filled + piece.taken / piece.factor <= livetime + 1e-5).all()
    if reuse:
        assert (lacking[offered > 0] < 1e-4).all()
    assert (lacking[offered == 0] == livetime).all()


def test_what_is_begun_again_is_counted_from_the_second_time_on():
    pieces, _ = _serve(_pool(()), 250.0, [1], reuse=True)

    assert [piece.is_reused.all() for piece in pieces] == [False, True, True]
    assert [piece.taken[0] for piece in pieces] == [100.0, 100.0, 50.0]
    assert [piece.filled[0] for piece in pieces] == [0.0, 100.0, 200.0]
