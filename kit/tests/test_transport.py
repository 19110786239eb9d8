"""The connection can be encrypted, and ends as it should."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kit.tests.reading import eventually
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.natsserver import NatsServer

INFO = (
    b'INFO {"server_id":"x","version":"2.15.0","headers":true,"max_payload":1048576,"proto":1,"tls_required":true}\r\n'
)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that vouches for itself; return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "petit test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


async def test_a_server_may_want_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate_file, key_file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    heard: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()  # what the client answers at once is for TLS to read
        writer.write(INFO)
        await writer.start_tls(context)
        while line := await reader.readline():
            heard.append(line)
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with await connect(Access(url=url), name="test", within=5) as nc:
            nc.write("secret", b"hello")
            await eventually(lambda: b"hello\r\n" in heard)


async def test_what_was_written_before_closing_is_sent(nc: Connection, server: NatsServer) -> None:
    heard: list[bytes] = []
    await nc.listen("a", lambda message: heard.append(message.payload))
    async with await connect(server.access, name="other") as other:
        for number in range(100):
            other.write("a", b"%d" % number)

    await eventually(lambda: heard == [b"%d" % number for number in range(100)])


async def test_a_large_message_arrives_whole(nc: Connection) -> None:
    heard: list[bytes] = []
    await nc.listen("a", lambda message: heard.append(message.payload))
    payload = bytes(range(256)) * 30_000

    nc.write("a", payload)

    await eventually(lambda: heard == [payload])
