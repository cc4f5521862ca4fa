"""Certificates for servers and users of tests, by an authority of their own."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority"]


class Authority:
    """An authority whose certificate lies in a folder as ``ca.pem``.

    Parameters
    ----------
    folder : Path
        Folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of the tests")
        usage = x509.KeyUsage(*[True] * 7, encipher_only=False, decipher_only=False)
        builder = self._builder(self._name, self._key, valid=timedelta(days=9))
        own = x509.BasicConstraints(ca=True, path_length=None)
        builder = builder.add_extension(own, critical=True)
        builder = builder.add_extension(usage, critical=True)
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(self._sign(builder))

    @property
    def subject_hash(self) -> str:
        """Name that OpenSSL looks for in a folder of certificates."""
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(self.certificate)]
        found = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
        return found.stdout.decode().strip()

    def issue(self, name: str, *, valid: timedelta = timedelta(hours=1)) -> Path:
        """Make a certificate for 127.0.0.1, with its key in the same file.

        Parameters
        ----------
        name : str
            Whose.
        valid : timedelta
            For how long; it may be over.

        Returns
        -------
        Path
            The file.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key, valid=valid)
        hosts = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
        alternatives = x509.SubjectAlternativeName(hosts)
        builder = builder.add_extension(alternatives, critical=False)
        path = self._folder / f"{name}.pem"
        path.write_bytes(self._sign(builder) + _text(key))
        path.chmod(0o600)
        return path

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, valid: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + valid)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
                critical=False,
            )
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _text(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
