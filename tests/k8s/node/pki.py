"""Makes the keys and certificates of a one-node Kubernetes: FOLDER ADDRESS."""

import base64
import datetime as dt
import ipaddress
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NODE: Final = "node"
_SERVICE_ADDRESS: Final = "10.96.0.1"
_HOUR: Final = dt.timedelta(hours=1)
_MONTH: Final = dt.timedelta(days=30)
_API_NAMES: Final = ("127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def named(name: str, group: str = "") -> x509.Name:
    """Return whom a certificate is about: Kubernetes reads user and group from it."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), *parts] if group else parts)


class Authority:
    """Signs certificates, and puts them into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named("petit-tests")
        identity = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(identity, critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        self._write("ca", certificate=self._certificate, key=private(self._key))

    def sign(self, file: str, subject: x509.Name, *, hosts: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """Make a key and its certificate, for a server where hosts are named; return both as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._builder(subject, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        builder = builder.add_extension(issuer, critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self._write(file, certificate=certificate, key=private(key))
        return certificate, private(key)

    def kubeconfig(self, file: str, subject: x509.Name, *, server: str) -> None:
        """Write how somebody reaches the API server, and as whom."""
        certificate, key = self.sign(file, subject)
        user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
        cluster = {"server": server, "certificate-authority-data": _base64(self._certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "petit",
            "clusters": [{"name": "petit", "cluster": cluster}],
            "users": [{"name": file, "user": user}],
            "contexts": [{"name": "petit", "context": {"cluster": "petit", "user": file}}],
        }
        (self._folder / f"{file}.conf").write_text(json.dumps(config))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - _HOUR).not_valid_after(now + _MONTH)

    def _write(self, file: str, *, certificate: bytes, key: bytes) -> None:
        (self._folder / f"{file}.crt").write_bytes(certificate)
        (self._folder / f"{file}.key").write_bytes(key)


def make(folder: Path, *, address: str) -> None:
    """Make everything that the node at this address needs."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    authority, server = Authority(folder), f"https://{address}:6443"
    authority.sign("apiserver", named("kube-apiserver"), hosts=[address, _SERVICE_ADDRESS, *_API_NAMES])
    authority.sign("kubelet-server", named(f"system:node:{NODE}", "system:nodes"), hosts=[address, NODE])
    authority.sign("apiserver-kubelet", named("kube-apiserver-kubelet", "system:masters"))
    authority.kubeconfig("admin", named("admin", "system:masters"), server=server)
    authority.kubeconfig("controller-manager", named("system:kube-controller-manager"), server=server)
    authority.kubeconfig("scheduler", named("system:kube-scheduler"), server=server)
    authority.kubeconfig("proxy", named("system:kube-proxy"), server=server)
    authority.kubeconfig("kubelet", named(f"system:node:{NODE}", "system:nodes"), server=server)
    accounts = ec.generate_private_key(ec.SECP256R1())
    public = accounts.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "accounts.key").write_bytes(private(accounts))
    (folder / "accounts.pub").write_bytes(public)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    make(Path(sys.argv[1]), address=sys.argv[2])
