"""The emulator of AWS, and the environment in which commands reach it and nothing else."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.local.processes import LOOPBACK, Processes, Started

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
REGION = "us-east-1"
START_S = 60.0
# Of the user's own environment the emulator, and with it every function, sees only these.
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """Where it listens and keeps its things."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def api_url(self, api_id: str) -> str:
        """An HTTP API's address here; its `ApiEndpoint` resolves nowhere."""
        return f"{self.url}/_aws/execute-api/{api_id}/$default"

    def start(self, processes: Processes, *, auth: bool = False) -> Started:
        """Clear what an earlier one leaked, and start. With `auth`, roles are enforced for functions."""
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in (temporary, self.folder / "state", self.folder / "s3"):
            folder.mkdir(parents=True, exist_ok=True)
        env = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(temporary),
            "STATE_DIR": str(self.folder / "state"),
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "AUTH": "true" if auth else "false",
            # Otherwise it listens on every interface for what nobody asked.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        started = processes.start("emulator", [str(PYTHON), "-m", "ministack.app"], env=env, cwd=self.folder)
        processes.wait_until(started, self._answers, timeout_s=START_S)
        return started

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """For commands that speak to AWS: they reach the emulator, with nobody's credentials."""
        env = {name: value for name, value in base.items() if not name.startswith(("AWS_", "PYTHON", "SAM_"))}
        return env | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(self.folder / "sam"),
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/_ministack/health", timeout=2.0):
                return True
        except (urllib.error.URLError, OSError):
            return False
