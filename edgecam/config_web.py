"""The settings of the page, a part of :class:`edgecam.config.Settings`."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam.options import Many, Switch, Text, setting
from edgecam.values import canonical_listen, parse_listen

PAGE = "Page"


@dataclass(frozen=True)
class WebSettings:
    """See ``docs/web.md``."""

    listen: str = setting(
        "127.0.0.1:8080",
        Text("HOST:PORT", canonical=canonical_listen),
        PAGE,
        "Address of the page; 0.0.0.0:8080 is the whole network and needs a password or a token",
        "HOST:PORT",
    )
    users: str | None = setting(
        None,
        Text("a file", path=True),
        PAGE,
        "File of who may open the page, made by edgecam web; without it ~/.config/edgecam/users or "
        "/etc/edgecam/users, where there is one",
        "FILE",
        example="/etc/edgecam/users",
    )
    token: str | None = setting(
        None,
        Text("a secret, env:NAME or file:PATH"),
        PAGE,
        "Secret that the page asks for; made and kept where one is needed and none given",
        "SECRET",
        example="file:/etc/edgecam/token",
        secret=True,
    )
    insecure: bool = setting(
        False, Switch(), PAGE, "Let the page be seen on the network without password or token"
    )
    tls: bool = setting(False, Switch(), PAGE, "HTTPS, with a certificate that is made at the first start")
    tls_cert: str | None = setting(
        None,
        Text("a file", path=True),
        PAGE,
        "HTTPS with a certificate of your own, PEM",
        "FILE",
        example="/etc/edgecam/page.crt",
    )
    tls_key: str | None = setting(
        None,
        Text("a file", path=True),
        PAGE,
        "Key of that certificate",
        "FILE",
        example="/etc/edgecam/page.key",
    )
    host_names: tuple[str, ...] = setting(
        (),
        Many(",", "names"),
        PAGE,
        "Further names that the page may be called by, behind a proxy for example",
        "NAME",
        flag="--host-name",
        example="camera.example.org",
    )

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of ``listen``."""
        return parse_listen(self.listen)
