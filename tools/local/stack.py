"""The deployed stack: built and deployed by the real commands, then reached through its outputs alone."""

import json
import platform
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tools.environments import Problem
from tools.local.emulator import REGION, Emulator
from tools.local.processes import Processes, Started

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venv" / "bin"
NAME = "domainwatch"
BUILD_S = 240.0
DEPLOY_S = 180.0
CALL_S = 310.0
# The HTTP API gives up after 30 seconds.
API_S = 35.0
PAGE = 500


def start_build(processes: Processes, emulator: Emulator, folder: Path, root: Path = ROOT) -> Started:
    """`sam build` of the template into a folder. What is cached outlives it, so that a later build needs no network."""
    env = emulator.environment() | {"DOMAINWATCH_PYTHON": str(TOOLS / "python")}
    command = [*_sam("build", root), "--build-dir", str(folder / "build")]
    command += ["--cache-dir", str(ROOT / ".local" / "cache")]
    return processes.start("sam build", command, env=env, cwd=root)


def deploy(
    processes: Processes, emulator: Emulator, folder: Path, parameters: Mapping[str, str], *, stack: str = NAME
) -> "Stack":
    """`sam deploy` of what was built; the parameters travel in a file, as some are secret."""
    given = folder / "parameters.yaml"
    given.touch(mode=0o600)
    # JSON is YAML, and quotes everything.
    given.write_text(json.dumps({"LambdaRuntime": runtime(), **parameters}), "utf-8")
    command = [*_sam("deploy", ROOT), "--stack-name", stack]
    command += ["--template-file", str(folder / "build" / "template.yaml"), "--parameter-overrides", f"file://{given}"]
    processes.run("sam deploy", command, env=emulator.environment(), cwd=ROOT, timeout_s=DEPLOY_S)
    return Stack.named(stack, emulator)


def world_parameters(urls: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that point a stack at a sandbox; `urls` is its world.json."""
    return {
        "DomainApiUrl": urls["domain_api_url"],
        "ApiCallbackUrl": urls["callback_url"],
        "ApiAvailableCallbackUrl": urls["available_callback_url"],
        "ApiAuthToken": urls["auth_token"],
        "WebhookSecret": urls["webhook_secret"],
        "AllowedPrivateNetworks": urls["allowed_private_networks"],
        "ResolverAddresses": urls["resolver"],
        "ZonesUrl": urls["zones_url"],
        "RdapBootstrapUrl": urls["bootstrap_url"],
        "WhoisRootServer": urls["whois_root"],
    }


def _sam(command: str, root: Path) -> list[str]:
    # The settings would be looked for beside the template, which is elsewhere once it is built.
    return [str(TOOLS / "sam"), command, "--config-file", str(root / "samconfig.toml"), "--config-env", "local"]


def runtime() -> str:
    """The emulator runs functions on its own interpreter, which is ours."""
    major, minor, _ = platform.python_version_tuple()
    return f"python{major}.{minor}"


class NotNow(Problem):
    """The stack gave no answer; on a busy machine the next look may get one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack someone may only know by its outputs and its resources' logical ids."""

    emulator: Emulator
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    token: str

    @classmethod
    def named(cls, name: str, emulator: Emulator) -> "Stack":
        cloudformation = client("cloudformation", emulator)
        (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        resources = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        }
        secret = client("secretsmanager", emulator).get_secret_value(SecretId=outputs["AdminTokenSecretArn"])
        return cls(emulator=emulator, outputs=outputs, resources=resources, token=secret["SecretString"])

    @property
    def api_url(self) -> str:
        return self.emulator.api_url(self.outputs["ApiId"])

    def client(self, service: str) -> Any:
        """A boto3 client of the account the stack is in."""
        return client(service, self.emulator)

    def invoke(self, function: str, event: Mapping[str, Any] | None = None) -> Any:
        """Call a function by its logical id and wait. Raises Problem if it failed."""
        reply = self.client("lambda").invoke(
            FunctionName=self.resources[function], Payload=json.dumps(event or {}).encode()
        )
        payload = json.loads(reply["Payload"].read() or b"null")
        if "FunctionError" in reply:
            raise Problem(f"{function} failed: {payload}")
        return payload

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Reply:
        """Ask the HTTP API; any status is an answer."""
        request = urllib.request.Request(
            self.api_url + urllib.parse.quote(path, safe="/?&=:%"),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token if token is None else token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            },
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=API_S) as response:
                return Reply(status=response.status, body=_json(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(status=error.code, body=_json(error.read()))
        except OSError as exc:
            raise NotNow(f"{method} {path} got no answer: {exc}") from exc

    def domains(self) -> Iterator[dict[str, Any]]:
        """Every watched name as the HTTP API lists it. Raises NotNow if it does not."""
        cursor = ""
        while True:
            query = urllib.parse.urlencode({"limit": PAGE, **({"cursor": cursor} if cursor else {})})
            reply = self.call("GET", f"/v1/domains?{query}")
            if reply.status != 200:
                raise NotNow(f"GET /v1/domains answered {reply.status}: {reply.body}")
            yield from reply.body["domains"]
            cursor = reply.body.get("next") or ""
            if not cursor:
                return


def client(service: str, emulator: Emulator) -> Any:
    """Built from given values only, so that nothing of the user's own account can slip in."""
    return boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION).client(  # type: ignore[call-overload]
        service,
        endpoint_url=emulator.url,
        config=Config(
            read_timeout=CALL_S,
            retries={"max_attempts": 1},
            proxies={},
            inject_host_prefix=False,
            max_pool_connections=16,
        ),
    )


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", errors="replace")
