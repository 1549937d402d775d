"""A certificate authority of the cluster's own, and one server certificate for this machine, made once."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from keyturn.sandbox.files import write_private
from keyturn.sandbox.openbao import TlsFiles

_DAY, _LIFE = timedelta(days=1), timedelta(days=365)
_RENEWED_BEFORE = timedelta(days=30)
_KEY_USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
               "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


def certified(folder: Path) -> TlsFiles:
    """The certificate kept in the folder; a new one, of a new authority, if there is none or it is about to run out.

    The authority's key is thrown away: nobody can sign anything in its name later.
    """
    files = TlsFiles(certificate=folder / "server.pem", key=folder / "server.key", ca=folder / "ca.pem")
    if not all(file.exists() for file in (files.certificate, files.key, files.ca)) or _runs_out(files.certificate):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(files)
    return files


def _make(files: TlsFiles) -> None:
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(**{name: name in {"key_cert_sign", "crl_sign"} for name in _KEY_USAGES})
    root = (
        _unsigned("keyturn sandbox authority", authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(authority, hashes.SHA256())
    )
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    leaf = (
        _unsigned("keyturn sandbox", server.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority, hashes.SHA256())
    )
    private = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(files.key, private.decode())
    write_private(files.ca, root.public_bytes(Encoding.PEM).decode())
    write_private(files.certificate, leaf.public_bytes(Encoding.PEM).decode())


def _unsigned(subject: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named("keyturn sandbox authority"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _LIFE)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _runs_out(certificate: Path) -> bool:
    known = x509.load_pem_x509_certificate(certificate.read_bytes())
    return datetime.now(UTC) + _RENEWED_BEFORE > known.not_valid_after_utc
