"""TLS to the database: whom we believe, and what we show to nodes that want to know who comes."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from petit.chat.adapters.cql.driver import secured
from petit.chat.ports import CqlServer, StoreBroken
from petit.chat.settings import Settings

NODE = "10.0.0.1"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with `node.crt` and `chat.crt`, each its own authority, and their keys."""
    for name in ("node", "chat"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("node.example.org")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (tmp_path / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (tmp_path / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return tmp_path


def shown(client: ssl.SSLContext, files: Path) -> str | None:
    """Return whose certificate a node that wants one is shown, as far as it believes in it; None: it hangs up."""
    wants = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wants.load_cert_chain(files / "node.crt", files / "node.key")
    wants.load_verify_locations(files / "chat.crt")
    wants.verify_mode = ssl.CERT_REQUIRED
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    chat = client.wrap_bio(down, up, server_hostname="node.example.org")
    node = wants.wrap_bio(up, down, server_side=True)
    for end in (chat, node, chat, node):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            return None
    found = node.getpeercert(binary_form=True)
    assert found is not None
    (name,) = x509.load_der_x509_certificate(found).subject
    return str(name.value)


def test_a_node_that_wants_to_know_who_comes_is_shown_a_certificate(files: Path) -> None:
    server = CqlServer(hosts=(NODE,), ca=files / "node.crt", cert=files / "chat.crt", key=files / "chat.key")

    context = secured(server)

    assert context is not None
    assert shown(context, files) == "chat"


def test_it_hangs_up_where_none_is_shown(files: Path) -> None:
    context = secured(CqlServer(hosts=(NODE,), ca=files / "node.crt"))

    assert context is not None
    assert shown(context, files) is None


def test_a_key_of_another_certificate_is_named(files: Path) -> None:
    server = CqlServer(hosts=(NODE,), ca=files / "node.crt", cert=files / "chat.crt", key=files / "node.key")

    with pytest.raises(StoreBroken, match=r"chat\.crt, .*node\.key"):
        secured(server)


def test_without_an_authority_there_is_no_tls() -> None:
    assert secured(CqlServer(hosts=(NODE,))) is None


@pytest.mark.parametrize("given", [["CA", "CERT"], ["CA", "KEY"], ["CERT", "KEY"]], ids="-".join)
def test_half_of_a_certificate_is_refused(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETIT_CHAT_NATS_URL", "nats://127.0.0.1:4222")
    monkeypatch.setenv("PETIT_CHAT_CQL_HOSTS", NODE)
    for part in given:
        monkeypatch.setenv(f"PETIT_CHAT_CQL_{part}", f"/etc/petit/{part}")

    with pytest.raises(ValidationError, match="certificate"):
        Settings()
