from __future__ import annotations

import base64
import json
import shutil
import time
from datetime import timedelta

import pytest

from bkgpipe.batch.transfer import exists, fetch, list_files, send
from bkgpipe.batch.transfer.credentials import find_credentials, find_proxy, find_token
from bkgpipe.errors import AccessError, SiteError

_URL = "webdavs://host/folder"


def _make_token(**claims):
    parts = ({"alg": "none"}, claims)
    words = (base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts)
    return ".".join([*(word.rstrip("=") for word in words), "sig"])


def test_proxy_of_the_environment(authority, monkeypatch):
    proxy = authority.issue("proxy", valid=timedelta(hours=5))
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))

    (found,) = find_credentials(_URL)

    assert found.name == f"proxy {proxy}"
    assert found.seconds == pytest.approx(5 * 3600, abs=60)


def test_a_proxy_ends_with_the_first_of_its_certificates(authority, monkeypatch):
    proxy = authority.issue("proxy", valid=timedelta(hours=5))
    user = authority.issue("user", valid=timedelta(hours=2))
    with proxy.open("ab") as file:
        file.write(user.read_bytes())
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))

    assert find_credentials(_URL)[0].seconds == pytest.approx(2 * 3600, abs=60)


def test_certificates_of_the_next_century(authority, monkeypatch):
    # from 2050 on, years have four digits
    proxy = authority.issue("long", valid=timedelta(days=365 * 90))
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))

    days = find_credentials(_URL)[0].seconds / 86400
    assert days == pytest.approx(365 * 90, abs=1)


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAA"])
def test_a_proxy_that_cannot_be_read_says_nothing(tmp_path, monkeypatch, content):
    (tmp_path / "proxy").write_text(content)
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "proxy"))

    assert find_credentials(_URL)[0].expires == float("inf")


def test_where_tokens_are_looked_for(tmp_path, monkeypatch):
    assert find_token() == ("", "")
    monkeypatch.setattr("os.getuid", lambda: 123456)
    monkeypatch.delenv("BEARER_TOKEN_FILE")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert find_token() == ("", "")

    usual = tmp_path / "bt_u123456"
    usual.write_text("usual\n")
    assert find_token() == ("usual", str(usual))

    (tmp_path / "token").write_text("given\n")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "token"))
    assert find_token() == ("given", str(tmp_path / "token"))

    monkeypatch.setenv("BEARER_TOKEN", "named")
    assert find_token() == ("named", "$BEARER_TOKEN")

    monkeypatch.delenv("X509_USER_PROXY")
    assert find_proxy() is None


def test_lifetime_of_a_token(monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", _make_token(exp=time.time() + 600))
    (found,) = find_credentials(_URL)
    assert (found.name, round(found.seconds, -1)) == ("token $BEARER_TOKEN", 600)

    for token in ("opaque", _make_token(sub="me"), "a.b.c"):
        monkeypatch.setenv("BEARER_TOKEN", token)
        assert find_credentials(_URL)[0].expires == float("inf")
    assert find_credentials("s3://bucket/folder") == []


def test_a_token_is_shown(*, guarded, bundle, tmp_path, quick, monkeypatch):
    token = _make_token(exp=time.time() + 600)
    monkeypatch.setenv("BEARER_TOKEN", token)
    guarded.accepts = f"Bearer {token}"

    send(bundle, f"{guarded.url}/far/in.tar", options=quick)
    fetch(f"{guarded.url}/far/in.tar", tmp_path / "back.tar", options=quick)

    assert (tmp_path / "back.tar").read_bytes() == bundle.read_bytes()
    assert set(guarded.shown) == {guarded.accepts}


def test_a_renewed_token_is_seen_at_once(guarded, quick, tmp_path, monkeypatch):
    path = tmp_path / "token"
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(path))
    guarded.accepts = "Bearer new"
    path.write_text("old")
    with pytest.raises(AccessError):
        exists(f"{guarded.url}/in.tar", options=quick)

    path.write_text("new")
    assert not exists(f"{guarded.url}/none.tar", options=quick)


def test_no_token_without_tls(flaky_webdav, quick, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", "s3cret")

    list_files(flaky_webdav.url, options=quick)

    assert flaky_webdav.headers
    assert not any("s3cret" in text for text in flaky_webdav.headers)


def test_a_password_is_shown(guarded, quick, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    guarded.accepts = "Basic " + base64.b64encode(b"me:s3cret").decode()

    assert list_files(f"{guarded.url}/none", options=quick) == {}


def test_a_file_of_passwords_that_is_none(guarded, quick, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 logn me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    with pytest.raises(AccessError, match="is not a file of passwords") as caught:
        list_files(guarded.url, options=quick)
    assert caught.value.where == str(tmp_path / "netrc")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_proxy_is_shown(guarded, authority, quick, monkeypatch):
    monkeypatch.setenv("X509_USER_PROXY", str(authority.issue("some-user")))
    guarded.accepts = "some-user"

    assert list_files(f"{guarded.url}/none", options=quick) == {}


def test_a_proxy_that_is_none(guarded, quick, tmp_path, monkeypatch):
    (tmp_path / "proxy").write_text("nonsense")
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "proxy"))

    with pytest.raises(AccessError, match="is no proxy that can be used") as caught:
        list_files(guarded.url, options=quick)
    assert caught.value.where == str(tmp_path / "proxy")


def test_an_expired_proxy_is_named(guarded, authority, quick, monkeypatch):
    proxy = authority.issue("late", valid=timedelta(minutes=-5))
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))

    with pytest.raises(AccessError, match=r"proxy .*late.pem expired at") as caught:
        list_files(guarded.url, options=quick)
    assert caught.value.fix.startswith("Renew it, then run again")


def test_an_expired_token_is_named(guarded, quick, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", _make_token(exp=time.time() - 60))

    with pytest.raises(
        AccessError, match=r"token \$BEARER_TOKEN expired at .*Z, and .*403"
    ) as caught:
        list_files(guarded.url, options=quick)
    assert caught.value.where == guarded.url


def test_a_server_that_is_not_trusted(guarded, quick, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(SiteError, match=r"no trusted connection .*self") as caught:
        list_files(guarded.url, options=quick)
    assert "X509_CERT_DIR" in caught.value.fix

    monkeypatch.setenv("AWS_ENDPOINT_URL", guarded.url.replace("webdavs", "https"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    with pytest.raises(SiteError, match=r"no trusted connection .*self") as caught:
        list_files("s3://bucket", options=quick)
    assert "AWS_CA_BUNDLE" in caught.value.fix


def test_a_server_without_tls(flaky_webdav, quick):
    with pytest.raises(SiteError, match=r"no trusted connection .*WRONG_VERSION"):
        list_files(flaky_webdav.url.replace("webdav", "webdavs"), options=quick)


def test_authorities_of_a_grid(*, guarded, authority, quick, tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copy(authority.certificate, folder / f"{authority.subject_hash}.0")
    monkeypatch.setenv("X509_CERT_DIR", str(folder))
    monkeypatch.setenv("BEARER_TOKEN", "a")
    guarded.accepts = "Bearer a"

    assert list_files(f"{guarded.url}/none", options=quick) == {}
