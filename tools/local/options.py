"""What the user asked of `make run`, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.environments import Problem

NO = ("", "0", "no", "false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`scenario` is a name or a YAML file; `port` 0 means any free one."""

    scenario: str
    answers: tuple[Path, ...]
    names: str
    live: bool
    keep: bool
    port: int
    contact: str

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Options":
        """Raises Problem with a sentence for what cannot be meant."""
        network = env.get("NETWORK", "")
        if network not in ("", "live", "sandbox"):
            raise Problem(f"NETWORK={network} is not known; it is `live`, or not given for the sandbox.")
        answers = tuple(Path(word) for word in env.get("ANSWERS", "").split())
        for path in answers:
            if not path.is_file():
                raise Problem(f"ANSWERS={path}: there is no such file.")
        port = env.get("PORT", "") or "0"
        if not port.isdecimal() or int(port) > 65535:
            raise Problem(f"PORT={port} is no port.")
        return cls(
            scenario=env.get("SCENARIO", "") or ("recorded" if answers else "drop"),
            answers=answers,
            names=env.get("NAMES", ""),
            live=network == "live",
            keep=env.get("KEEP", "").lower() not in NO,
            port=int(port),
            contact=env.get("CONTACT", ""),
        )
