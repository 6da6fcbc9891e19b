"""Servers behind TLS: right ones, and ones that every program must refuse."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.tls_server import HOST, TlsServer, tls_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD: Final = "s3cr3t-pass"
"""No line may show it."""
FAULTS: Final = {
    "self-signed": "the certificate of {} is self-signed: to trust it, name it in the address, with ssl_ca_certs=FILE",
    "unknown authority": "the certificate of {} is signed by an unknown authority: name that in the address",
    "expired": "the certificate of {} has expired: the server needs a new one",
    "other name": "the certificate of {} is for another name: the host in the address must be one that",
    "no client certificate": "client certificate",
}
"""What must be said of a server with this fault."""


@dataclass(frozen=True)
class Secured:
    """A Redis behind TLS. ``url`` has a password, and trusts the authority of the tests where that is not the fault."""

    url: str
    server: TlsServer

    @property
    def where(self) -> str:
        """Its host and port."""
        return self.server.where


@dataclass(frozen=True)
class Certificates:
    """An authority that no system trusts, in files: ``ca.pem``, a ``client``'s certificate, and an ``other`` one's."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        """Writes the files."""
        self.authority.cert_pem.write_to_path(self.folder / "ca.pem")
        for name, authority in {"client": self.authority, "other": trustme.CA()}.items():
            client = authority.issue_cert("client@example.com")
            client.private_key_pem.write_to_path(self.folder / f"{name}.key")
            client.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")

    @property
    def trusted(self) -> str:
        """The parameter that trusts the authority."""
        return f"ssl_ca_certs={self.folder}/ca.pem"

    @property
    def shown(self) -> str:
        """The parameters that show the client's certificate."""
        return f"ssl_certfile={self.folder}/client.pem&ssl_keyfile={self.folder}/client.key"

    def context(self, fault: str = "") -> ssl.SSLContext:
        """A server's, with this fault; without one, it demands the client's certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if fault == "self-signed":
            _self_signed(self.folder, context)
            return context
        now = datetime.now(UTC)
        lasts = now - timedelta(days=1) if fault == "expired" else now + timedelta(days=1)
        issued = trustme.CA() if fault == "unknown authority" else self.authority
        name = "other.example" if fault == "other name" else HOST
        issued.issue_cert(name, not_before=now - timedelta(days=2), not_after=lasts).configure_cert(context)
        if fault in {"", "no client certificate"}:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@contextlib.contextmanager
def secured(port: int, certificates: Certificates, fault: str, login: str) -> Iterator[Secured]:
    """The server on this port, behind TLS with this fault."""
    options = [] if fault in {"self-signed", "unknown authority"} else [certificates.trusted]
    options += [] if fault else [certificates.shown]
    with tls_server(port, certificates.context(fault)) as behind:
        yield Secured(f"rediss://{login}@{behind.where}/0?{'&'.join(options)}", behind)


def _self_signed(folder: Path, context: ssl.SSLContext) -> None:
    """Gives the server a certificate that is its own authority, for the right name."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    file = folder / "self.pem"
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context.load_cert_chain(file)
