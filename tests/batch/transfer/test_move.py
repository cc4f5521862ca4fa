from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.batch.transfer import exists, fetch, list_files, remove, send
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import (
    AccessError,
    DamagedFileError,
    MissingFileError,
    PassingError,
    SiteError,
)


def test_there_and_back(place, bundle, tmp_path, quick):
    url = f"{place}/in.tar"
    back = tmp_path / "deep" / "back.tar"

    assert list_files(place, options=quick) == {}
    assert not exists(url, options=quick)
    send(bundle, url, options=quick)
    fetch(url, back, sha256=sum_file(bundle), size=300_001, options=quick)

    assert back.read_bytes() == bundle.read_bytes()
    assert list_files(place, options=quick) == {"in.tar": 300_001}
    assert exists(url, options=quick)
    assert not exists(place, options=quick)

    bundle.write_bytes(b"another")  # replaces what is there
    send(bundle, url, options=quick)
    fetch(url, back, options=quick)
    assert back.read_bytes() == b"another"

    remove(url, options=quick)
    remove(url, options=quick)
    assert list_files(place, options=quick) == {}
    with pytest.raises(MissingFileError, match="no such file") as caught:
        fetch(url, back, options=quick)
    assert caught.value.where == url
    assert back.read_bytes() == b"another"


def _reasons(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("bkgpipe")]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("503", "503 Service Unavailable"),
        ("500", "500 Internal Server Error"),
        ("429", "429 Too Many Requests"),
        ("502", "502 Bad Gateway"),
        ("reset", ""),  # some of the packages try that again by themselves
        ("slow", "does not answer as it should"),
    ],
)
def test_sent_and_fetched_in_spite_of(
    *, flaky, bundle, tmp_path, quick, caplog, fault, reason
):
    url = f"{flaky.url}/in.tar"
    flaky.delay = 3
    flaky.faults.append(("PUT", fault))
    quick = replace(quick, silence=0.5)

    send(bundle, url, options=quick)
    flaky.faults.append(("GET", fault))
    fetch(url, tmp_path / "back.tar", sha256=sum_file(bundle), options=quick)

    assert (tmp_path / "back.tar").read_bytes() == bundle.read_bytes()
    assert not flaky.faults
    assert not reason or any(reason in text for text in _reasons(caplog))
    assert all("Trying again in" in text for text in _reasons(caplog))
    assert list_files(flaky.url, options=quick) == {"in.tar": 300_001}


@pytest.mark.parametrize("fault", ["cut", "short", "changed"])
def test_what_arrives_otherwise_is_fetched_again(
    *, flaky, bundle, tmp_path, quick, caplog, fault
):
    url = f"{flaky.url}/in.tar"
    send(bundle, url, options=quick)
    flaky.faults.extend([("GET", fault), ("GET", fault)])

    fetch(
        url, tmp_path / "back.tar", sha256=sum_file(bundle), size=300_001, options=quick
    )

    assert (tmp_path / "back.tar").read_bytes() == bundle.read_bytes()
    assert not flaky.faults
    assert len(_reasons(caplog)) >= (fault != "cut")


@pytest.mark.parametrize("fault", ["short", "changed"])
def test_what_never_arrives_as_it_was_sent(*, flaky, bundle, tmp_path, quick, fault):
    url = f"{flaky.url}/in.tar"
    send(bundle, url, options=quick)
    flaky.faults.extend([("GET", fault)] * quick.tries)

    with pytest.raises(DamagedFileError, match=r"instead of") as caught:
        fetch(url, tmp_path / "back.tar", sha256=sum_file(bundle), options=quick)

    assert caught.value.where == url
    assert caught.value.fix == "Send it again"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tar"]


def test_a_size_that_is_not_known_is_asked_for(flaky, bundle, tmp_path, quick):
    url = f"{flaky.url}/in.tar"
    send(bundle, url, options=quick)
    flaky.faults.append(("GET", "short"))

    fetch(url, tmp_path / "back.tar", options=quick)

    assert (tmp_path / "back.tar").read_bytes() == bundle.read_bytes()


def test_what_is_stored_otherwise_is_sent_again(flaky, bundle, tmp_path, quick):
    url = f"{flaky.url}/in.tar"
    flaky.faults.extend([("PUT", "spoilt"), ("PUT", "spoilt")])

    send(bundle, url, options=quick)
    assert not flaky.faults
    fetch(url, tmp_path / "back.tar", sha256=sum_file(bundle), options=quick)

    flaky.faults.extend([("PUT", "spoilt")] * quick.tries)
    with pytest.raises(DamagedFileError, match="is not what was sent"):
        send(bundle, f"{flaky.url}/other.tar", options=quick)
    # nothing is left of it
    assert list_files(flaky.url, options=quick) == {"in.tar": 300_001}
    moves = [method for method, _ in flaky.requests if method in {"PUT", "DELETE"}]
    assert moves[-2:] == ["PUT", "DELETE"]


def test_what_is_there_outlives_a_failure(flaky, bundle, quick):
    url = f"{flaky.url}/in.tar"
    send(bundle, url, options=quick)
    flaky.faults.append(("PUT", "403"))

    with pytest.raises(AccessError):
        send(bundle, url, options=quick)

    assert exists(url, options=quick)


@pytest.mark.parametrize("status", ["403", "401"])
def test_refusals_are_not_tried_again(*, flaky, bundle, tmp_path, quick, status):
    url = f"{flaky.url}/in.tar"
    flaky.faults.append(("PUT", status))

    with pytest.raises(AccessError, match=f"access is refused .{status}") as caught:
        send(bundle, url, options=quick)
    assert caught.value.where == url
    assert "Renew" in caught.value.fix
    assert [m for m, _ in flaky.requests].count("PUT") == 1

    send(bundle, url, options=quick)
    flaky.faults.append(("GET", status))
    with pytest.raises(AccessError, match=f"access is refused .{status}"):
        fetch(url, tmp_path / "back.tar", size=1, options=quick)


def test_a_server_that_never_answers_well(flaky, bundle, quick):
    flaky.faults.extend([("PUT", "503")] * quick.tries)

    with pytest.raises(PassingError, match="503 Service Unavailable") as caught:
        send(bundle, f"{flaky.url}/in.tar", options=quick)

    assert caught.value.fix == "Run again when it does: what is finished is kept"
    assert [m for m, _ in flaky.requests].count("PUT") == quick.tries


def test_a_server_that_is_full(flaky, bundle, quick):
    flaky.faults.append(("PUT", "507"))

    with pytest.raises(SiteError, match=r"no space left .507 Insufficient Storage"):
        send(bundle, f"{flaky.url}/in.tar", options=quick)


def test_a_server_that_cannot_do_it(flaky, bundle, quick):
    flaky.faults.append(("PUT", "400"))

    with pytest.raises(SiteError, match=r"what is asked of it .400 Bad Request"):
        send(bundle, f"{flaky.url}/in.tar", options=quick)
