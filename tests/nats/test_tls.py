"""TLS, for clients and between nodes: a server that nobody vouches for is told nothing."""

import datetime as dt
import ipaddress
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kit.tests.reading import SUBJECT, Reader, eventually, reading
from petit.chat.app import Options, chat
from petit.contracts.ids import UserId
from petit.contracts.rpc import MineAsk, MinePage
from petit.contracts.subjects import chat_any
from petit.kit.access import Access
from petit.kit.connection import connect
from petit.kit.errors import Unreached
from petit.kit.feed import Feed
from petit.kit.log import Log
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.rpc import ask
from tests.nats.cluster import Cluster, cluster


class Authority:
    """Signs certificates for this machine's address, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        own = (
            _certificate(self._name, issuer=self._name, key=self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.ca = folder / "ca.crt"
        self.ca.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def sign(self) -> None:
        """Write a certificate for 127.0.0.1, good for both ends of a connection, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            _certificate(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")]), issuer=self._name, key=key.public_key()
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        )
        (self.folder / "tls.crt").write_bytes(
            made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        (self.folder / "tls.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _certificate(name: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
    )


async def test_a_cluster_with_tls_serves_who_trusts_it_and_nobody_else(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    ours.sign()
    async with cluster(tmp_path / "nodes", tls=ours.folder, ca=ours.ca) as made:
        await made.bootstrap()
        async with made.connected("chat") as nc:
            log, reader = Log(nc), Reader()
            feed = Feed(nc, deliver=reader, after=0)
            async with reading(feed):
                await log.append(SUBJECT, b"1", msg_id="1")
                await eventually(lambda: reader.offsets == [1])

                assert nc.connected_url is not None
                hit = next(node for node in made.nodes if node.client == nc.connected_url.port)
                hit.kill()

                await log.append(SUBJECT, b"2", msg_id="2", deadline=_soon())
                await eventually(lambda: reader.offsets == [1, 2], within=15)

        hit.start()
        await made.healthy()
        options = Options(nats=made.access("chat"), store=tmp_path / "chat.db", bootstrap_wait_s=10)
        async with chat(options), made.connected("gateway") as nc:  # its lists have a connection of FastStream's
            page, _ = await ask(nc, chat_any("mine"), MineAsk(viewer=UserId("ada"), limit=5), body=MinePage, within=10)
            assert page.items == ()

        stranger = Cluster(made.nodes, ca=others.ca)
        with pytest.raises(Unreached, match="CERTIFICATE_VERIFY_FAILED"):
            await connect(stranger.access("chat"), name="stranger", within=1)


async def test_who_asks_for_tls_tells_a_server_without_it_nothing(tmp_path: Path) -> None:
    ca = Authority(tmp_path / "ours").ca
    async with NatsServer(NatsConfig(store=tmp_path / "nats")) as server:
        with pytest.raises(Unreached, match="offers no TLS"):
            await connect(Access(url=server.url, token=server.token, ca=ca), name="test", within=1)


def _soon() -> float:
    return time.monotonic() + 10
