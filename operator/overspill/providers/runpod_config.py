"""Settings of one RunPod account: `spec.config` of its GPUProvider, beside those of any market."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from overspill.providers._entrypoint import PROGRAM_IMAGES
from overspill.providers._settings import MarketSettings, words_of

DEFAULT_ENDPOINT = "https://api.runpod.io"

Words = Annotated[tuple[str, ...], BeforeValidator(words_of)]


class Config(MarketSettings):
    """Defaults: RunPod's own data centres, ports behind its HTTPS proxy."""

    clouds: Annotated[tuple[Literal["SECURE", "COMMUNITY"], ...], BeforeValidator(words_of)] = (
        "SECURE",
    )
    start_command: Literal["shell", "json"] = "shell"
    """`json` also replaces the image's entrypoint; the console knows it, the v2 file does not."""
    program_images: Words = PROGRAM_IMAGES
    """Refused with `shell`: their entrypoint would not run our command."""
    disk_gib: int = Field(default=40, ge=1, le=10_000)
    """The disk that offers are priced with; a job that asks for more may find its cap too low."""
    disk_usd_per_gb_month: Decimal = Field(default=Decimal("0.10"), ge=0, le=10)
    tcp_ports: Words = ()
    """Ports to expose as plain TCP; all others go through the proxy, which waits 100 s at most."""
    proxy_domain: str = "proxy.runpod.net"
    registry: str = ""
    """The id of a registry credential of the account, for private images."""
