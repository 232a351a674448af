"""Environment variables by which programs find the certificate authorities that they trust."""

from __future__ import annotations

from typing import Final

CA_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
"""OpenSSL, Python and Go; requests; curl; node; the AWS clients; gRPC. A JVM reads none of them."""
