"""What is particular to a protocol; what all have in common is in test_move."""

from __future__ import annotations

import logging
from dataclasses import replace
from multiprocessing import get_context

import pytest

from bkgpipe.batch.transfer import TransferOptions, exists, fetch, list_files, send
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import (
    AccessError,
    DamagedFileError,
    InputError,
    MissingFileError,
    OutputError,
    PassingError,
    SettingsError,
    SiteError,
)


def test_a_listing_that_lags_behind(flaky, bundle, tmp_path, quick):
    url = f"{flaky.url}/in.tar"
    send(bundle, url, options=quick)
    flaky.faults.extend([("GET", "404")] * 3 + [("HEAD", "404")])
    back = tmp_path / "back.tar"

    with pytest.raises(MissingFileError):
        fetch(url, back, options=quick)
    fetch(url, back, sha256=sum_file(bundle), wait=20, options=quick)

    assert back.read_bytes() == bundle.read_bytes()


def test_what_was_just_sent_is_seen_later(flaky_webdav, bundle, quick):
    flaky_webdav.faults.append(("GET", "404"))

    send(bundle, f"{flaky_webdav.url}/in.tar", options=quick)

    assert not flaky_webdav.faults

    flaky_webdav.faults.extend([("GET", "404")] * quick.tries)
    with pytest.raises(PassingError, match="what was just sent is not there"):
        send(bundle, f"{flaky_webdav.url}/in.tar", options=quick)


def test_the_checksum_of_an_object_store_saves_reading_back(flaky_s3, bundle, quick):
    send(bundle, f"{flaky_s3.url}/in.tar", options=quick)
    assert [method for method, _ in flaky_s3.requests] == ["PUT", "HEAD"]

    # of several parts, it has another sum
    bundle.write_bytes(bytes(101 * 2**20))
    flaky_s3.requests.clear()
    send(bundle, f"{flaky_s3.url}/in.tar", options=quick)
    methods = {method for method, _ in flaky_s3.requests}
    assert methods == {"POST", "PUT", "HEAD", "GET"}


def test_no_such_bucket(flaky_s3, bundle, quick):
    with pytest.raises(MissingFileError, match="NoSuchBucket") as caught:
        send(bundle, "s3://elsewhere/in.tar", options=quick)

    assert "Check the address" in caught.value.fix
    assert [method for method, _ in flaky_s3.requests].count("PUT") == 1
    assert list_files("s3://elsewhere/folder", options=quick) == {}


def test_no_keys(flaky_s3, bundle, quick, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(AccessError, match="there are no keys for S3"):
        send(bundle, f"{flaky_s3.url}/in.tar", options=quick)


def test_renewed_keys_are_used_at_once(flaky_s3, quick, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    for key in ("first-key", "second-key"):
        path.write_text(
            f"[default]\naws_access_key_id = {key}\naws_secret_access_key = b\n"
        )
        for _ in range(2):
            assert not exists(f"{flaky_s3.url}/in.tar", options=quick)
        assert f"Credential={key}/" in flaky_s3.headers[-1]


def test_a_process_that_is_forked_has_a_connection_of_its_own(flaky_s3, quick):
    url = f"{flaky_s3.url}/in.tar"
    assert not exists(url, options=quick)

    forked = get_context("fork").Process(target=exists, args=(url,))
    forked.start()
    forked.join(timeout=30)

    assert forked.exitcode == 0


def test_nobody_listens(bundle, quick, free_port, monkeypatch):
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    few = replace(quick, tries=2, silence=1)

    for url in ("s3://bkg", f"webdav://127.0.0.1:{port}", f"root://127.0.0.1:{port}/"):
        with pytest.raises(PassingError, match="does not answer as it should"):
            send(bundle, f"{url}/in.tar", options=few)


def test_xrootd_refuses_a_folder(bundle, xrootd, quick):
    url, _ = xrootd
    elsewhere = url.replace("//bkg", "//other")

    with pytest.raises(AccessError, match="3010") as caught:
        send(bundle, f"{elsewhere}/in.tar", options=quick)
    assert caught.value.where == f"{elsewhere}/in.tar"


def test_xrootd_has_half_a_file(bundle, xrootd, quick, tmp_path):
    url, folder = xrootd
    send(bundle, f"{url}/in.tar", options=quick)
    with (folder / "in.tar").open("r+b") as file:
        file.truncate(1000)

    with pytest.raises(DamagedFileError, match="1000 bytes instead of 300001"):
        fetch(f"{url}/in.tar", tmp_path / "back.tar", size=300_001, options=quick)
    with pytest.raises(DamagedFileError, match="SHA-256"):
        fetch(
            f"{url}/in.tar",
            tmp_path / "back.tar",
            sha256=sum_file(bundle),
            options=quick,
        )
    assert not (tmp_path / "back.tar").exists()


def test_a_file_that_was_replaced_is_read_anew(bundle, xrootd, quick, tmp_path):
    url, back = f"{xrootd[0]}/new.tar", tmp_path / "back.tar"
    for content in (b"first", b"second"):
        bundle.write_bytes(content)
        send(bundle, url, options=quick)
        fetch(url, back, options=quick)
        assert back.read_bytes() == content


def test_packages_that_are_missing(quick, monkeypatch):
    def refuse(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("bkgpipe.batch.transfer.storage.import_module", refuse)

    for url in ("s3://bkg/x", "webdav://host/x", "root://host//x", "file:///x"):
        with pytest.raises(SettingsError, match=r"No module named 'fsspec'") as caught:
            exists(url, options=quick)
        assert caught.value.fix == "pip install 'bkgpipe[transfer]'"
        assert caught.value.where == "[site:NAME] transfer"


def test_addresses_that_cannot_be_used(bundle, quick):
    with pytest.raises(SettingsError, match="srm:// is none of file, s3"):
        send(bundle, "srm://host/in.tar", options=quick)
    with pytest.raises(SettingsError, match="leave the user") as caught:
        send(bundle, "webdavs://me:s3cret@host/in.tar", options=quick)
    assert "s3cret" not in str(caught.value)


def test_files_of_this_machine_that_cannot_be_used(bundle, quick, tmp_path):
    with pytest.raises(InputError, match=r"cannot be read .No such file") as caught:
        send(tmp_path / "none.tar", f"file://{tmp_path}/x", options=quick)
    assert caught.value.where == str(tmp_path / "none.tar")

    blocked = bundle / "back.tar"  # below a file
    with pytest.raises(OutputError, match="cannot be written") as caught:
        fetch(f"file://{bundle}", blocked, options=quick)
    assert caught.value.where == str(blocked)
    assert "Free some space there" in caught.value.fix


def test_names_with_other_characters(place, bundle, quick, tmp_path):
    url = f"{place}/a-bundle+of=1,2@3.tar"

    send(bundle, url, options=quick)
    fetch(url, tmp_path / "back.tar", sha256=sum_file(bundle), options=quick)

    assert list_files(place, options=quick) == {"a-bundle+of=1,2@3.tar": 300_001}


def test_no_secret_is_logged(flaky_s3, bundle, quick, caplog):
    caplog.set_level(logging.DEBUG, logger="bkgpipe")
    flaky_s3.faults.extend([("PUT", "503"), ("PUT", "403")])

    with pytest.raises(AccessError) as caught:
        send(bundle, f"{flaky_s3.url}/in.tar", options=quick)

    told = f"{caught.value} {[r.getMessage() for r in caplog.records]}"
    assert "503" in told
    assert "s3cret" not in told
    assert "a-key" not in told


_OPTIONS = TransferOptions(tries=2, pause=0.01)


def test_commands(bundle, tmp_path):
    (tmp_path / "far away").mkdir()
    copy = ("cp", "{path}", f"{tmp_path}/far away/in.tar")
    back = ("cp", f"{tmp_path}/far away/in.tar", "{path}")
    options = replace(_OPTIONS, stage_out=copy, stage_in=back)
    url = "srm://host/in.tar"

    send(bundle, url, options=options)
    fetch(url, tmp_path / "back.tar", sha256=sum_file(bundle), options=options)
    fetch(url, tmp_path / "other.tar", options=options)

    assert (tmp_path / "back.tar").read_bytes() == bundle.read_bytes()
    with pytest.raises(SiteError, match="cannot list or remove files"):
        exists(url, options=options)
    with pytest.raises(SiteError, match="cannot list or remove files"):
        list_files(url, options=options)


def test_a_command_that_lies_or_fails(bundle, tmp_path):
    url = "srm://host/in.tar"
    lie = replace(_OPTIONS, stage_out=("true",), stage_in=("true",))
    with pytest.raises(PassingError, match="true ended well, but there is no file"):
        send(bundle, url, options=lie)

    spoil = replace(lie, stage_in=("dd", "if=/dev/zero", "of={path}", "count=1"))
    with pytest.raises(DamagedFileError, match="its 512 bytes"):
        send(bundle, url, options=spoil)

    fail = replace(lie, stage_in=("ls", "{url}", "--no-such-option"))
    with pytest.raises(PassingError, match="ls ended with exit code 2: ") as caught:
        fetch(url, tmp_path / "back.tar", options=fail)
    assert caught.value.where == url

    none = replace(lie, stage_in=("no-such-command", "{url}"))
    with pytest.raises(SettingsError, match="no-such-command cannot be run") as caught:
        fetch(url, tmp_path / "back.tar", options=none)
    assert "stage_in" in caught.value.where


def test_a_command_gets_whole_words(tmp_path):
    echo = ("sh", "-c", 'printf "%s|" "$@" > "$0"', "{path}", "x{url}y", "{path};id")
    options = replace(_OPTIONS, stage_in=echo, stage_out=echo)

    fetch("srm://host/a;b$(c){path}", tmp_path / "out", options=options)

    words = (tmp_path / "out").read_text().split("|")
    assert words[0] == "xsrm://host/a;b$(c){path}y"
    assert words[1].endswith(";id")
