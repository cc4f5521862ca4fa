from __future__ import annotations

import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.settings import read_settings
from bkgpipe.settings.addresses import STAGE_COMMAND

_COPY = "gfal-copy {url} 'file://{path}'"


def _site(config, **keys):
    given = [f"site:far.{key}={text}" for key, text in keys.items()]
    return read_settings(config, given).site("far")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("none", "none"),
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("webdavs://host:8443/folder", "webdavs://host:8443/folder"),
        ("root://host//store/folder", "root://host//store/folder"),
        ("file:///shared/folder", "file:///shared/folder"),
    ],
)
def test_addresses(config, text, value):
    assert _site(config, transfer=text).transfer == value


def test_the_batch_system_copies(config):
    assert _site(config, transfer="files", engine="htcondor").transfer == "files"
    with pytest.raises(SettingsError, match=r"\[site:far\] .*Slurm copies no files"):
        _site(config, transfer="files", engine="slurm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tape", "expected none, files or an address, found 'tape'"),
        ("s3://", "expected an address as"),
        ("file://folder", "expected an address as"),
        ("s3://bucket/a folder", "expected an address as"),
        ("webdavs://[host/folder", "Invalid IPv6 URL"),
        ("srm://host/folder", "srm:// is none of file, s3, .* stage_in and stage_out"),
    ],
)
def test_addresses_that_are_refused(config, text, message):
    with pytest.raises(SettingsError, match=message):
        _site(config, transfer=text)


@pytest.mark.parametrize(
    "text",
    [
        "webdavs://me:s3cret@host/folder",
        "webdavs://me:s3cret@[host/folder",
        "s3://bucket/folder?X-Amz-Signature=s3cret",
        "root://host//folder#s3cret",
    ],
)
def test_secrets_are_refused_and_not_quoted(config, text):
    with pytest.raises(SettingsError, match="leave") as caught:
        _site(config, transfer=text)
    assert "docs/grid/transfer.md" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_commands_of_a_site(config):
    out = "gfal-copy --force file://{path} {url}"
    site = _site(config, transfer="srm://host/x", stage_in=_COPY, stage_out=out)

    assert site.stage_in == ("gfal-copy", "{url}", "file://{path}")
    assert (
        STAGE_COMMAND.parse(STAGE_COMMAND.write(site.stage_in), None) == site.stage_in
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"stage_in": "gfal-copy {url}"}, "expected a command with {url} and {path}"),
        ({"stage_in": "cp {url} {path} {to}"}, "expected a command with"),
        ({"stage_in": "cp '{url} {path}"}, "No closing quotation"),
        ({"stage_in": _COPY, "transfer": "srm://host/x"}, "give both or none"),
        ({"stage_in": _COPY, "stage_out": _COPY}, "set transfer to that"),
    ],
)
def test_commands_that_are_refused(config, keys, message):
    with pytest.raises(SettingsError, match=message):
        _site(config, **keys)
