"""Retention and erasures (U-8): by plain HTTP, since Flyte has no stubs for them. What is erased is made by stock calls."""

import json
import threading
import time
import urllib.parse

import grpc
import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import execution_pb2 as core_execution

from platform_process import PlatformProcess, running_platform
from registry import DOMAIN, Registry
from transports import Api, Http

Phase = core_execution.WorkflowExecution
ENDED = (Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT)


class Retention:
    """The routes of RetentionService: answers as JSON, refusals as (HTTP status, message)."""

    def __init__(self, http: Http):
        self.http = http

    def call(self, verb: str, path: str, body: dict | None = None):
        status, _, answer = self.http.send(verb, f"/api/v1/retention/{path}", None if body is None else json.dumps(body))
        return status, json.loads(answer)

    def ok(self, verb: str, path: str, body: dict | None = None):
        status, answer = self.call(verb, path, body)
        assert status == 200, (status, answer)
        return answer

    def refused(self, code: int, mention: str, verb: str, path: str, body: dict | None = None):
        status, answer = self.call(verb, path, body)
        assert status == code and mention in answer["message"], (status, answer)

    def erase_path(self, id) -> str:
        return f"erase/{id.project}/{id.domain}/{id.name}"

    def erase(self, id, **fields):
        return self.ok("POST", self.erase_path(id), fields)


@pytest.fixture(scope="module")
def retention(http):
    return Retention(http)


def get(api, id):
    return api.call("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id))


def ended(api, id, within=60):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if get(api, id).closure.phase in ENDED:
            return id
        time.sleep(0.05)
    raise AssertionError(f"{id.name} has not ended within {within} s")


def erased(retention, id, within=60, **fields):
    """Its receipt, once it is done."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        answer = retention.erase(id, **fields)
        if all(one["state"] == "DONE" for one in answer["erasures"]):
            return answer["erasures"][0]
        time.sleep(0.2)
    raise AssertionError(f"{id.name} is not erased after {within} s: {answer}")


def test_U_8_erase_with_a_receipt(api, registry, retention, name):
    plan = registry.plan_of_one_task(name, script="echo said")
    id = ended(api, registry.execute(plan, "to-erase"))
    preview = retention.erase(id, dry_run=True)["erasures"][0]
    assert preview["state"] == "PREVIEW" and int(preview["removed"]["objects"]) > 0
    get(api, id)
    receipt = erased(retention, id, reason="asked for")
    assert receipt["removed"]["objects"] == preview["removed"]["objects"]
    assert receipt["removed"]["bytes"] == preview["removed"]["bytes"]
    assert receipt["reason"] == "asked for" and receipt["done_at"]
    api.refused("GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id), "NOT_FOUND", id.name)
    again = retention.erase(id)
    assert again["repeated_request"] and again["erasures"] == [receipt]
    assert retention.ok("GET", f"erasures/{receipt['id']}") == receipt
    listed = retention.ok("GET", "erasures?" + urllib.parse.urlencode({"project": registry.project, "limit": 10}))
    assert receipt in listed["erasures"]
    # The name can be used again, and the receipt of the run that had it stays.
    second = ended(api, registry.execute(plan, "to-erase"))
    assert retention.erase(second, uid=receipt["execution_uid"])["erasures"] == [receipt]
    get(api, second)
    other = erased(retention, second)
    assert other["id"] != receipt["id"]


def test_U_8_refusals(api, registry, retention, name):
    missing = registry.execution_id("never-was")
    retention.refused(404, "never-was", "POST", retention.erase_path(missing), {})
    plan = registry.plan_of_one_task(name, script="sleep 60")
    running = registry.execute(plan)
    retention.refused(400, "terminate it first", "POST", retention.erase_path(running), {})
    api.call("TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=running, cause="enough"))
    ended(api, running)
    retention.refused(400, "uid", "POST", retention.erase_path(running), {"uid": "x"})
    retention.refused(404, "no erasure", "GET", "erasures/nosuch")
    retention.refused(400, "limit", "GET", "erasures")
    retention.refused(400, "token", "GET", "erasures?limit=1&token=x;drop")


def test_U_8_legal_hold(api, registry, retention, name):
    plan = registry.plan_of_one_task(name)
    id = ended(api, registry.execute(plan))
    scope = {"project": registry.project, "domain": DOMAIN}
    hold = {"id": f"case-{id.name}", "scope": scope, "execution": id.name, "reason": "court"}
    assert retention.ok("POST", "holds", {"hold": hold})["reason"] == "court"
    retention.ok("POST", "holds", {"hold": hold})
    retention.refused(400, hold["id"], "POST", retention.erase_path(id), {})
    preview = retention.erase(id, dry_run=True)["erasures"][0]
    assert hold["id"] in preview["problem"]
    listed = retention.ok("GET", f"holds?project={registry.project}")["holds"]
    assert hold["id"] in [one["id"] for one in listed]
    retention.refused(400, "63", "POST", "holds", {"hold": {**hold, "id": "a b"}})
    retention.refused(404, "nosuch", "POST", "holds", {"hold": {**hold, "id": "other", "execution": "nosuch"}})
    retention.ok("DELETE", f"holds/{hold['id']}")
    retention.refused(404, hold["id"], "DELETE", f"holds/{hold['id']}")
    erased(retention, id)


def test_U_8_policies(api, registry, retention, name):
    plan = registry.plan_of_one_task(name)
    label = {"label_key": "keep", "label_value": "short"}
    kept = ended(api, registry.execute(plan))
    labelled = registry.execution_request(plan)
    labelled.spec.labels.values["keep"] = "short"
    gone = ended(api, api.call("CreateExecution", labelled).id)
    scope = {"project": registry.project, "domain": DOMAIN}
    policy = {"scope": {**scope, **label}, "erase_after": "0s"}
    preview = retention.ok("POST", "preview", {"policy": policy})
    assert [(one["id"]["name"], one["action"]) for one in preview["runs"] if one["id"]["project"] == registry.project] == [
        (gone.name, "ERASE")
    ]
    retention.refused(400, "erase_after", "POST", "policies", {"policy": {**policy, "archive_after": "60s"}})
    retention.refused(400, "label_key", "POST", "policies", {"policy": {"scope": {"label_value": "x"}}})
    retention.refused(400, "no-such", "POST", "policies", {"policy": {"scope": {"project": "no-such"}}})
    retention.ok("POST", "policies", {"policy": policy})
    deadline = time.monotonic() + 60
    while not retention.ok("GET", f"erasures?project={registry.project}&name={gone.name}&limit=1")["erasures"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert erased(retention, gone)["principal"] == "retention"
    get(api, kept)
    query = urllib.parse.urlencode({f"scope.{key}": value for key, value in policy["scope"].items()})
    assert retention.ok("GET", f"policy?{query}")["erase_after"] == "0s"
    retention.ok("DELETE", f"policy?{query}")
    retention.refused(404, registry.project, "GET", f"policy?{query}")


@pytest.mark.timeout(300)
def test_U_8_an_erasure_survives_kill_9():
    """Killed at some moment of it, and begun again with the platform: it comes to its end, and the receipt counts what there was."""
    with running_platform(PlatformProcess) as platform:
        with grpc.insecure_channel(platform.grpc) as channel:
            api = Api(channel, Http(platform.http))
            registry = Registry(api, "flytesnacks")
            plan = registry.plan_of_one_task("killed")
            ids = [registry.execute(plan, f"killed-{i}") for i in range(20)]
            for id in ids:
                ended(api, id)
            retention = Retention(Http(platform.http))
            before = [retention.erase(id, dry_run=True)["erasures"][0]["removed"] for id in ids]

            def ask(id):
                try:
                    retention.erase(id)
                except Exception:  # The platform died with the call.
                    pass

            calls = [threading.Thread(target=ask, args=(id,)) for id in ids]
            for call in calls:
                call.start()
            while not retention.ok("GET", "erasures?limit=1")["erasures"]:
                time.sleep(0.01)
            platform.kill()
            for call in calls:
                call.join()
        platform.start()
        with grpc.insecure_channel(platform.grpc) as channel:
            api = Api(channel, Http(platform.http))
            retention = Retention(Http(platform.http))
            receipts = [erased(retention, id) for id in ids]
            assert [one["removed"]["objects"] for one in receipts] == [one["objects"] for one in before]
            assert [one["removed"]["rows"] for one in receipts] == [one["rows"] for one in before]
            for id in ids:
                assert api.refusal(api.call, "GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=id)).code == "NOT_FOUND"
