"""Headers of every answer: what a browser may do with the page, and who may show it within theirs."""

from __future__ import annotations


def security_headers(embed: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
    """For a page that the origins in `embed` may show in a frame.

    Gradio builds its page from inline scripts and compiles templates, so those are allowed; everything is this server's
    own, and nothing may be sent anywhere else.
    """
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(("'self'", *embed)) if embed else "'none'",
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    }
    if not embed:
        headers["x-frame-options"] = "DENY"
        headers["cross-origin-opener-policy"] = "same-origin"
    return [(name.encode(), value.encode()) for name, value in headers.items()]
