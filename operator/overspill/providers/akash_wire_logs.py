"""What is read on the way to an Akash lease's log. Private to the Akash adapter.

From three parties: the console (provider, token), a node of the chain (certificates), and the
provider's gateway, which is nobody's but its owner's and is believed least.
"""

import base64
import binascii
import ssl
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from overspill.providers.akash_wire import Snake, Wire

Jwt = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}$", max_length=8192)
]


class HostDetail(Wire):
    """`GET /v1/providers/{address}`: where its gateway listens, as its owner told the chain."""

    owner: str
    host_uri: str = Field(max_length=2048)


class Token(Wire):
    """A token for a provider's gateway."""

    token: Jwt = Field(repr=False)


class TokenAnswer(Wire):
    """`POST /v1/create-jwt-token`."""

    data: Token

    def secret(self) -> SecretStr:
        """The token; it goes into a header and nowhere else."""
        return SecretStr(self.data.token)


class Certificate(Snake):
    """What the chain keeps of one certificate: PEM, in Base64 once more."""

    state: str
    cert: str = Field(max_length=65_536)

    def pem(self) -> str:
        """The certificate itself; "" for what is none."""
        try:
            text = base64.b64decode(self.cert, validate=True).decode("ascii")
            ssl.PEM_cert_to_DER_cert(text.strip())
        except (binascii.Error, ValueError):
            return ""
        return text


class CertificateEntry(Snake):
    """One entry of the list."""

    certificate: Certificate


class Certificates(Snake):
    """`GET /akash/cert/v1/certificates/list` of a node of the chain."""

    certificates: list[CertificateEntry] = Field(max_length=1000)


class LogLine(Wire):
    """One line, and the pod that wrote it."""

    name: str
    message: str
