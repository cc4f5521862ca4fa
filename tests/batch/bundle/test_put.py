from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.batch.bundle.notes import AnswerNote
from bkgpipe.batch.bundle.pack import pack_chunks
from bkgpipe.batch.bundle.put import put_answers
from bkgpipe.batch.bundle.tar import unpack_tar, write_tar
from bkgpipe.batch.bundle.work import run_bundle
from bkgpipe.chain.inputs import forget
from bkgpipe.flow import Select


def _put(task, path):
    (result,) = put_answers(task.settings, [path])
    return result


def _rewrite(path, tmp_path, **changes):
    """Write an answer anew, with another note or name of its file."""
    note = unpack_tar(path, tmp_path / "opened", AnswerNote)
    names = changes.pop("names", {})
    files = {
        names.get(each.name, each.name): tmp_path / "opened" / each.name
        for each in note.files
    }
    write_tar(path, replace(note, **changes), files)


def test_an_answer_is_taken_once_or_twice(selected, answer, chunk):
    assert not chunk.complete()

    first, second = _put(selected, answer), _put(selected, answer)

    assert first == second
    assert (first.word, first.chunks, first.n_files) == ("count", (334,), 1)
    assert chunk.complete()
    assert list(selected.settings.data.output.glob(".put-*")) == []


@pytest.mark.parametrize("length", [0, 1000, -15000])
def test_a_cut_answer_is_refused_and_may_be_sent_again(selected, answer, chunk, length):
    answer.write_bytes(answer.read_bytes()[:length])

    result = _put(selected, answer)

    assert (result.kind, result.may_pass) == ("transfer", True)
    assert str(answer) in result.reason
    assert not chunk.path.exists()


def test_an_answer_of_another_version_is_not_sent_again(
    selected, answer, chunk, tmp_path
):
    _rewrite(answer, tmp_path, version="0.0.7")

    result = _put(selected, answer)

    assert (result.kind, result.may_pass) == ("version", False)
    assert "made by bkgpipe 0.0.7 on " in result.reason
    assert "use the same version" in result.reason
    assert not chunk.path.exists()


def test_an_answer_for_other_settings_is_not_sent_again(production, answer):
    other = production(
        smooth__method="regression", binning__per_decade="5", mask__radius="0.3 deg"
    )

    result = _put(other, answer)

    assert (result.kind, result.may_pass) == ("settings", False)
    assert "made for count-" in result.reason
    assert "these settings write count-" in result.reason


def test_nothing_is_written_outside_the_folders_of_stages(
    selected, answer, chunk, tmp_path
):
    name = f"{chunk.folder.name}/count_334.h5"
    _rewrite(answer, tmp_path, names={name: "settings/count_334.h5"})

    result = _put(selected, answer)

    assert result.kind == "settings"
    assert "settings/count_334.h5 is no product" in result.reason
    assert not (selected.settings.data.output / "settings" / "count_334.h5").exists()


def test_runs_that_others_counted_meanwhile_are_not_lost(
    production, build, answer, chunk
):
    # one run less is asked for, and two are in place by now
    less = production(
        smooth__method="regression",
        binning__per_decade="5",
        select__exclude_obs_ids="1003",
    )
    assert build(less.sibling(Select))
    (packed,) = pack_chunks(
        less.settings, "count", [[334]], folder=answer.parent / "less"
    )
    assert run_bundle(packed.path, answer.parent / "less.tar") == 0
    forget()
    assert not _put(chunk, answer).reason

    result = _put(less, answer.parent / "less.tar")

    assert (result.kind, result.may_pass) == ("outdated", True)
    assert "count_334.h5 has got 1 more runs since this was packed" in result.reason
    assert len(chunk.known()) == 3


def test_runs_that_are_there_are_sent_back_with_the_others(
    production, build, chunk, tmp_path
):
    less = production(
        smooth__method="regression",
        binning__per_decade="5",
        select__exclude_obs_ids="1003",
    )
    assert build(less.sibling(Select))
    (packed,) = pack_chunks(less.settings, "count", [[334]], folder=tmp_path / "less")
    assert run_bundle(packed.path, tmp_path / "less.tar") == 0
    forget()
    assert not _put(less, tmp_path / "less.tar").reason
    whole = production(smooth__method="regression", binning__per_decade="5")
    (rest,) = pack_chunks(whole.settings, "count", [[334]], folder=tmp_path / "rest")

    assert run_bundle(rest.path, tmp_path / "rest.tar") == 0
    forget()

    # events of one run alone were needed
    assert rest.size < packed.size
    assert not _put(whole, tmp_path / "rest.tar").reason
    assert len(chunk.known()) == 3


def test_an_answer_is_refused_when_the_store_has_changed(
    selected, build, answer, tmp_path
):
    (events,) = (tmp_path / "store" / "data").glob("*1002*")
    other = next(iter((tmp_path / "store" / "data").glob("*1001*")))
    events.write_bytes(other.read_bytes())
    assert build(selected.sibling(Select))

    result = _put(selected, answer)

    assert (result.kind, result.may_pass) == ("outdated", True)
    assert "have changed since this was packed" in result.reason


def test_what_a_job_says_is_told(selected, answer, tmp_path):
    write_tar(
        answer,
        AnswerNote(
            version=unpack_tar(answer, tmp_path / "opened", AnswerNote).version,
            word="count",
            chunks=(334,),
            folder="",
            host="node7",
            code=71,
            kind="scratch",
            reason="no room to work",
        ),
        {},
    )

    result = _put(selected, answer)

    assert (result.kind, result.may_pass) == ("scratch", True)
    assert "node7 says: no room to work" in result.reason
