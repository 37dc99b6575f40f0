"""All settings of a server, from the environment, with defaults that are safe for a public page."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sifa_core.data import Limits
from sifa_core.errors import ConfigError

OTHER_VARIABLES = {"SIFA_BACKEND", "SIFA_CACHE_DIR"}
"""What the package reads beside the page's settings."""
SPACE = "SPACE_ID"
"""Set by Hugging Face in a Space, whose page is shown in a frame of theirs and behind a proxy."""
SPACE_ORIGINS = ("https://huggingface.co",)
MOST_UPLOAD_MB = Limits().max_bytes // 1_000_000
LEVELS = ("debug", "info", "warning", "error")


def _setting(default: Any, variable: str, meaning: str, least: int = 0, most: int = 1_000_000) -> Any:
    return field(default=default, metadata={"variable": variable, "meaning": meaning, "range": (least, most)})


@dataclass(frozen=True)
class Settings:
    """What a server does and how much of it. Raises ConfigError for a value that cannot be."""

    model: str = _setting("sifa_net_tiny", "SIFA_MODEL", "the page's model: a name, a file, or hf://user/repo")
    compare: tuple[str, ...] = _setting((), "SIFA_COMPARE", "further models for the Compare tab, by commas")
    device: str = _setting("auto", "SIFA_DEVICE", "cpu, cuda, or auto: a GPU where there is one")
    host: str = _setting("127.0.0.1", "GRADIO_SERVER_NAME", "address to serve on")
    port: int = _setting(7860, "GRADIO_SERVER_PORT", "port to serve on", 1, 65535)
    root_path: str = _setting("", "SIFA_ROOT_PATH", "path under which a proxy shows the page, such as /sifa")
    embed: tuple[str, ...] = _setting((), "SIFA_EMBED", "origins that may show the page in a frame, by commas")
    proxies: int = _setting(0, "SIFA_PROXIES", "trusted proxies in front, whose X-Forwarded-For counts", 0, 8)
    upload_mb: int = _setting(MOST_UPLOAD_MB, "SIFA_UPLOAD_MB", "MB of one uploaded file", 1, MOST_UPLOAD_MB)
    uploads_mb: int = _setting(2000, "SIFA_UPLOADS_MB", "MB of all files of ten minutes; one address has half", 1)
    cache_mb: int = _setting(500, "SIFA_CACHE_MB", "MB of analyses in memory", 50)
    sessions: int = _setting(1000, "SIFA_SESSIONS", "browsers whose state is in memory", 10, 100_000)
    queue: int = _setting(64, "SIFA_QUEUE", "requests that may wait", 1, 10_000)
    address_queue: int = _setting(32, "SIFA_ADDRESS_QUEUE", "requests of one address that may wait or run", 1, 10_000)
    session_queue: int = _setting(16, "SIFA_SESSION_QUEUE", "requests of one page that may wait or run", 4, 10_000)
    stop_seconds: int = _setting(30, "SIFA_STOP_SECONDS", "seconds that running work has when told to stop", 0, 3600)
    log: str = _setting("info", "SIFA_LOG", "debug, info, warning or error")

    def __post_init__(self) -> None:
        for each in fields(self):
            value, (least, most) = getattr(self, each.name), each.metadata["range"]
            if isinstance(value, int) and not least <= value <= most:
                raise ConfigError(f"{each.metadata['variable']}={value} is not possible; it is from {least} to {most}.")
        if self.log not in LEVELS:
            raise ConfigError(f"SIFA_LOG={self.log!r} is not possible; it is one of {', '.join(LEVELS)}.")
        if self.root_path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self.root_path):
            raise ConfigError(f"SIFA_ROOT_PATH={self.root_path!r} is not possible; it is a path such as /sifa.")
        for origin in self.embed:
            if not re.fullmatch(r"https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?", origin):
                raise ConfigError(f"SIFA_EMBED has {origin!r}; an origin is such as https://example.org.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **options: Any) -> Settings:
        """The settings of an environment; `options` (of the command line) win. An empty variable is none at all.

        Raises ConfigError for a SIFA_ variable that does not exist, and for a value that cannot be.
        """
        known = {each.metadata["variable"] for each in fields(cls)} | OTHER_VARIABLES
        for name in sorted(environment):
            if name.startswith("SIFA_") and name not in known:
                there = ", ".join(sorted(one for one in known if one.startswith("SIFA_")))
                raise ConfigError(f"There is no setting {name}; there are {there}.")
        values: dict[str, Any] = {}
        if environment.get(SPACE):
            values |= {"embed": SPACE_ORIGINS, "proxies": 1}
        for each in fields(cls):
            text = environment.get(each.metadata["variable"], "").strip()
            if text and each.name not in options:
                values[each.name] = _parse(each.metadata["variable"], text, each.default)
        return cls(**values | options)

    def lines(self) -> list[str]:
        """One line for every setting, for the log at the start; paths of files are cut to their names."""
        rows = []
        for each in fields(self):
            value = getattr(self, each.name)
            text = ",".join(map(_last, value)) if isinstance(value, tuple) else value
            rows.append(f"{each.metadata['variable']}={_last(text) if each.name == 'model' else text}")
        return rows


def _parse(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, int):
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ConfigError(f"{variable}={text!r} is not possible; it is a whole number.")
        return int(text)
    return text


def _last(text: str) -> str:
    return text if "://" in text else text.rsplit("/", 1)[-1]


def table() -> list[str]:
    """The rows of the table in docs/hosting.md: variable, default, meaning."""
    rows = []
    for each in fields(Settings):
        default = ",".join(each.default) if isinstance(each.default, tuple) else str(each.default)
        shown = f"`{default}`" if default else "none"
        rows.append(f"| `{each.metadata['variable']}` | {shown} | {each.metadata['meaning']} |")
    return rows
