"""The template against its contract: parameters, outputs, keys, limits, dead-letter queues, and the linter's word."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.translate import template, translated

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
GLOBALS = TEMPLATE["Globals"]["Function"]
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
SCHEDULED = {"FetchDomainsFunction", "ScheduleChecksFunction", "NotifyFunction", "RefreshRegistriesFunction"}

# Others rely on these names and defaults.
PARAMETERS = {
    "DomainApiUrl": "",
    "DomainApiRefreshIntervalS": 300,
    "ApiCallbackUrl": "",
    "ApiAvailableCallbackUrl": "",
    "ApiAuthToken": "",
    "WebhookSecret": "",
    "CallbackMode": "changes",
    "AvailabilityThreshold": 0.75,
    "ResolverAddresses": "",
    "ZonesUrl": "",
    "RdapBootstrapUrl": "https://data.iana.org/rdap/dns.json",
    "WhoisRootServer": "whois.iana.org",
    "AllowedPrivateNetworks": "",
    "ContactAddress": "",
    "CadenceSeconds": "hot=60,priority=300,normal=3600,slow=86400",
    "ConfirmationDelayS": 90,
    "SuspiciousConfirmationDelayS": 900,
    "Shards": 256,
    "Operations": "true",
    "LambdaRuntime": "python3.13",
    "EventTypes": "",
    "BatchSize": 1000,
}
OUTPUTS = {
    "ApiUrl",
    "ApiId",
    "CheckQueueUrl",
    "StateMachineArn",
    "NamesTable",
    "LedgerTable",
    "AdminTokenSecretArn",
    "WebhookSecretArn",
}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def timeout_s(function: str) -> int:
    return int(FUNCTIONS[function].get("Timeout", GLOBALS["Timeout"]))


def targets(node: Any) -> set[str]:
    """Logical ids named anywhere below a node."""
    if isinstance(node, dict):
        if "Ref" in node:
            return {str(node["Ref"])}
        if "Fn::GetAtt" in node:
            return {str(node["Fn::GetAtt"][0])}
        return set().union(*(targets(value) for value in node.values()), set())
    if isinstance(node, list):
        return set().union(*(targets(value) for value in node), set())
    return set()


def lint(path: Path) -> str:
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, path], capture_output=True, text=True, check=False, cwd=path.parent)
    return done.stdout + done.stderr


def test_parameters_and_their_defaults() -> None:
    assert {name: parameter["Default"] for name, parameter in TEMPLATE["Parameters"].items()} == PARAMETERS


def test_secrets_are_not_echoed() -> None:
    for name in ("ApiAuthToken", "WebhookSecret"):
        assert TEMPLATE["Parameters"][name]["NoEcho"] is True


def test_outputs() -> None:
    assert set(TEMPLATE["Outputs"]) == OUTPUTS


def test_every_function_is_a_module_and_every_module_a_function() -> None:
    def module(logical_id: str) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id.removesuffix("Function")).lower()

    assert all(properties["Handler"] == f"{module(name)}.handler" for name, properties in FUNCTIONS.items())
    modules = {path.stem for path in (ROOT / "functions").glob("*.py")}
    assert modules == {module(name) for name in FUNCTIONS}


def test_every_function_has_a_log_group_with_retention() -> None:
    for name, properties in FUNCTIONS.items():
        (group,) = targets(properties["LoggingConfig"]["LogGroup"])
        assert group == f"{name.removesuffix('Function')}Logs"
    for name, group in of_type("AWS::Logs::LogGroup").items():
        assert group["Properties"]["RetentionInDays"] == 30, name


def test_no_secret_in_an_environment_value() -> None:
    values = [GLOBALS["Environment"]["Variables"]]
    values += [properties.get("Environment", {}).get("Variables", {}) for properties in FUNCTIONS.values()]
    assert not targets(values) & {"ApiAuthToken", "WebhookSecret"}


def test_what_holds_data_is_kept() -> None:
    tables = of_type("AWS::DynamoDB::Table")
    assert set(tables) == {"NamesTable", "LedgerTable"}
    for table in tables.values():
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        properties = table["Properties"]
        assert properties["DeletionProtectionEnabled"] is True
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert properties["SSESpecification"]["SSEEnabled"] is True
        assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_queue_waits_six_times_as_long_as_its_consumer() -> None:
    assert RESOURCES["CheckQueue"]["Properties"]["VisibilityTimeout"] >= 6 * timeout_s("StartBatchFunction")


def test_a_bad_message_fails_alone_and_ends_in_the_dead_letter_queue() -> None:
    (event,) = FUNCTIONS["StartBatchFunction"]["Events"].values()
    assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert event["Properties"]["ScalingConfig"]["MaximumConcurrency"] >= 2
    redrive = RESOURCES["CheckQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == 5
    assert targets(redrive) == {"CheckDeadLetterQueue"}


@pytest.mark.parametrize("function", sorted(SCHEDULED))
def test_schedules_have_a_bounded_retry_and_a_dead_letter_queue(function: str) -> None:
    properties = FUNCTIONS[function]
    (event,) = properties["Events"].values()
    assert event["Type"] == "ScheduleV2"
    assert json.loads(event["Properties"]["Input"]) == {"scheduled": True}
    assert event["Properties"]["RetryPolicy"]["MaximumRetryAttempts"] <= 2
    assert targets(event["Properties"]["DeadLetterConfig"]) == {"ScheduleDeadLetterQueue"}
    # The schedule only hands over; what the function then fails at is the second asynchronous edge.
    assert targets(properties["EventInvokeConfig"]["DestinationConfig"]) == {"ScheduleDeadLetterQueue"}


def test_only_those_are_scheduled() -> None:
    scheduled = {
        name
        for name, properties in FUNCTIONS.items()
        for event in properties.get("Events", {}).values()
        if event["Type"] != "SQS"
    }
    assert scheduled == SCHEDULED


def test_two_stacks_fit_into_one_account() -> None:
    """Nothing but log groups under the stack's own name has a name that is written down."""
    for logical_id, resource in translated()["Resources"].items():
        for key in ("Name", "FunctionName", "QueueName", "TableName", "StateMachineName", "RoleName", "LogGroupName"):
            name = resource.get("Properties", {}).get(key)
            if key == "FunctionName" and resource["Type"] != "AWS::Lambda::Function":
                continue
            assert not isinstance(name, str), logical_id


def test_every_dead_letter_queue_has_an_alarm() -> None:
    watched = set().union(*(targets(alarm["Properties"]) for alarm in of_type("AWS::CloudWatch::Alarm").values()))
    assert {name for name in of_type("AWS::SQS::Queue") if "DeadLetter" in name} <= watched


def test_alarms_can_be_left_out() -> None:
    assert all(alarm.get("Condition") == "HasOperations" for alarm in of_type("AWS::CloudWatch::Alarm").values())


def test_no_function_may_do_everything() -> None:
    for name, resource in translated()["Resources"].items():
        for policy in resource.get("Properties", {}).get("Policies", []):
            if "Fn::If" in policy:
                policy = policy["Fn::If"][1]  # noqa: PLW2901
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    assert not action.endswith(":*"), name
                    assert action != "*", name
                if name != "LadderRole":
                    assert statement["Resource"] != "*", name


def test_the_linter_has_nothing_to_say() -> None:
    assert lint(ROOT / "template.yaml") == ""


def test_nor_of_what_the_transform_makes_of_it(tmp_path: Path) -> None:
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(translated()), encoding="utf-8")
    assert lint(path) == ""
