"""What brokers and the network say, in words that name the remedy. None of them shows a password."""

from __future__ import annotations

import socket
import ssl

#: paho's names of reason codes (MQTT 5, section 2.4) at which another try right now does not help.
_REFUSALS = {
    "Bad user name or password": "refuses the user or the password: check user and password=",
    "Not authorized": "does not let this user in: check user, password= and its access list",
    "Client identifier not valid": "refuses the client id: name another with client_id=",
    "Unsupported protocol version": "does not speak this version of MQTT: try version=3.1.1",
    "Banned": "has banned this client",
    "Bad authentication method": "wants another way to sign in",
}
TAKEN_OVER = "has another client of the same id: give each device its own device_id"


def of_refusal(code: str) -> tuple[str, bool]:
    """(words, whether to take one's time) for a connection that the broker did not want."""
    words = _REFUSALS.get(code)
    return (words, True) if words else (f"refuses the connection ({code.lower()})", False)


def of_loss(code: str, was_up: bool) -> str:
    """Words for a connection that ended. ``was_up``: the broker had let us in."""
    if code == "Session taken over":
        return TAKEN_OVER
    if not was_up:
        return "closes the connection before it answers: if it wants TLS, write mqtts://"
    if code in ("Unspecified error", "Normal disconnection"):
        return "went away"
    return f"ended the connection ({code.lower()})"


def of_exception(error: Exception, tls: bool) -> tuple[str, bool]:
    """(words, whether to take one's time) for what the network raises."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted ({error.verify_message}): name its CA with ca=FILE",
            True,
        )
    if isinstance(error, ssl.SSLError):
        return f"does not agree on TLS ({error.reason or error}): is this port for mqtts?", True
    if isinstance(error, socket.gaierror):
        return f"is not known by name ({error.strerror})", False
    if isinstance(error, TimeoutError):
        return "does not answer", False
    if isinstance(error, OSError):
        hint = ": is this port for mqtts?" if tls and isinstance(error, ConnectionResetError) else ""
        return f"cannot be reached ({error.strerror or error}){hint}", False
    return f"cannot be reached ({type(error).__name__}: {error})", False
