"""`make run`: the whole pipeline on this machine. Sees to the environments, then hands over to `tools.local`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import environments  # noqa: E402 - a script finds the package only once its folder is on the path


def main() -> None:
    status = environments.main()
    if status:
        sys.exit(status)
    python = str(ROOT / ".venv" / "bin" / "python")
    os.chdir(ROOT)
    os.execv(python, [python, "-m", "tools.local"])


if __name__ == "__main__":
    main()
