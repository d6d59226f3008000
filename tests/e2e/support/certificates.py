"""A certificate authority of the tests' own, for servers on the loopback interface."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(name, key, issuer, issuer_key, extensions, days):
    now = datetime.datetime.now(datetime.timezone.utc)
    begin = now - datetime.timedelta(days=3)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(begin).not_valid_after(now + datetime.timedelta(days=days))
    )
    # Python 3.13 refuses a certificate that does not say whose key has signed it.
    signer = issuer_key.public_key()
    extensions = [
        *extensions,
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _write(path, *parts):
    path.write_bytes(b"".join(
        part.public_bytes(serialization.Encoding.PEM) if isinstance(part, x509.Certificate)
        else part.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        for part in parts
    ))
    path.chmod(0o600)
    return path


class Authority:
    """`ca` is its certificate's file; issue() makes certificates that it vouches for."""

    def __init__(self, directory):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("the tests' own authority")
        basic = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True,
            content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, encipher_only=False, decipher_only=False,
        )
        self.certificate = _certificate(
            self.name, self.key, self.name, self.key, [(basic, True), (usage, True)], days=30
        )
        self.ca = _write(directory / "ca.pem", self.certificate)

    def issue(self, name, hosts=HOSTS, self_signed=False, days=30):
        """The files of a certificate and its key, for `hosts`, for so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        issuer, issuer_key = (subject, key) if self_signed else (self.name, self.key)
        names = x509.SubjectAlternativeName(hosts)
        certificate = _certificate(subject, key, issuer, issuer_key, [(names, False)], days)
        return (
            _write(self.directory / f"{name}.pem", certificate),
            _write(self.directory / f"{name}.key", key),
        )
