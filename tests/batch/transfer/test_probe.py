from __future__ import annotations

import re
from datetime import timedelta

import pytest

_SITE = "\n[site:far]\nengine = htcondor\ntransfer = {transfer}\ntime = 2 h\n"


@pytest.fixture
def check(bkgpipe, folder):
    """Run `bkgpipe check --site far` with a site that moves files there."""

    def run(transfer, **keys):
        given = "".join(f"{key} = {text}\n" for key, text in keys.items())
        with (folder / "luigi.cfg").open("a", encoding="utf-8") as file:
            file.write(_SITE.format(transfer=transfer) + given)
        return bkgpipe("check", "--site", "far")

    return run


def test_a_storage_that_works(check, flaky):
    result = check(flaky.url)

    assert result.exit_code == 0
    assert f"Site:     far (htcondor), transfer: {flaky.url}\n" in result.stdout
    told = r"Storage:  a small file was sent, fetched and removed in \d+\.\d s\n"
    assert re.search(told, result.stdout)
    assert "Access:" not in result.stdout
    assert flaky.requests[-1][0] == "DELETE"


def test_a_storage_that_refuses(check, flaky):
    flaky.faults.append(("PUT", "403"))

    result = check(flaky.url)

    assert result.exit_code == 1
    assert "bkgpipe-check-" in result.stdout
    assert re.search(r"Problem: \S+: access is refused \(403 Forbidden", result.stdout)
    assert "Storage:" not in result.stdout


def test_lifetime_of_a_proxy(check, guarded, authority, monkeypatch):
    proxy = authority.issue("user", valid=timedelta(hours=11))
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))
    guarded.accepts = "user"

    result = check(guarded.url)

    assert result.exit_code == 0
    assert f"Access:   proxy {proxy} is valid for 11.0 h\n" in result.stdout
    assert "Warning" not in result.stdout


def test_a_proxy_that_ends_before_the_jobs(check, guarded, authority, monkeypatch):
    proxy = authority.issue("user", valid=timedelta(minutes=40))
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))
    guarded.accepts = "user"

    result = check(guarded.url)

    assert result.exit_code == 0
    assert (
        f"Warning: proxy {proxy} is valid for 40 min, but jobs may take 2.0 h "
        "([site:far] time): renew it, or they cannot"
    ) in result.stdout


def test_an_expired_proxy(check, guarded, authority, monkeypatch):
    proxy = authority.issue("late", valid=timedelta(minutes=-9))
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))

    result = check(guarded.url)

    assert result.exit_code == 1
    assert f"Problem: proxy {proxy} expired: renew it" in result.stdout
    assert "late.pem expired at" in result.stdout


def test_a_token_that_does_not_say(check, guarded, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", "s3cret")
    guarded.accepts = "Bearer s3cret"

    result = check(guarded.url)

    assert result.exit_code == 0
    assert "token $BEARER_TOKEN is valid for a time that it does not say" in (
        result.stdout
    )
    assert "s3cret" not in result.output


def test_commands_of_a_site(check, tmp_path):
    script = tmp_path / "copy"
    script.write_text('#!/bin/sh\ncp "${1#srm://host}" "${2#srm://host}"\n')
    script.chmod(0o700)

    result = check(
        f"srm://host{tmp_path}",
        stage_in=f"{script} {{url}} {{path}}",
        stage_out=f"{script} {{path}} {{url}}",
    )

    assert result.exit_code == 0, result.output
    left = re.search(r"fetched and left there \(srm://host(\S+)\)", result.stdout)
    assert (tmp_path / left[1]).stat().st_size == 1000


def test_a_site_without_storage(check):
    result = check("none")

    assert result.exit_code == 0
    assert "Site:     far (htcondor), transfer: none\n" in result.stdout


@pytest.mark.usefixtures("folder")
def test_wrong_use(bkgpipe):
    result = bkgpipe("check", "--deep", "--site", "far")
    assert result.exit_code == 2
    assert "give one of them" in result.output

    result = bkgpipe("check", "--site", "far")
    assert result.exit_code == 2
    assert "no section [site:far]" in result.output
