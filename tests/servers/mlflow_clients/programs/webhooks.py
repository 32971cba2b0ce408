"""What a user's program does with webhooks; a real HTTP server here receives, and MLflow's own code checks signatures.

Run with MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN set; the argument is the name of a registered model.
"""

import hmac
import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException
from mlflow.webhooks import delivery
from mlflow.webhooks.constants import (
    WEBHOOK_DELIVERY_ID_HEADER,
    WEBHOOK_SIGNATURE_HEADER,
    WEBHOOK_TIMESTAMP_HEADER,
)
from mlflow.webhooks.types import get_example_payload_for_event, get_payload_class_for_event

PATIENCE_S = 150
SECRET = "hush, ünïcode"
name = sys.argv[1]
client = MlflowClient()
came: queue.Queue = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        came.put((self.path, dict(self.headers), body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"thank you")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/hook"


def received(signed=True):
    """What came next, with its signature checked by MLflow's own function."""
    path, headers, body = came.get(timeout=PATIENCE_S)
    assert path == "/hook", path
    ids = headers[WEBHOOK_DELIVERY_ID_HEADER], headers[WEBHOOK_TIMESTAMP_HEADER]
    if signed:
        wanted = delivery._generate_hmac_signature(SECRET, *ids, body.decode())
        assert hmac.compare_digest(wanted, headers[WEBHOOK_SIGNATURE_HEADER]), headers
    else:
        assert WEBHOOK_SIGNATURE_HEADER not in headers, headers
    told = json.loads(body)
    assert set(told) == {"entity", "action", "timestamp", "data"}, told
    event = WebhookEvent(told["entity"], told["action"])
    assert set(told["data"]) == set(get_payload_class_for_event(event).__annotations__), told
    return str(event), told["data"]


events = [
    "registered_model.created",
    "model_version.created",
    WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.SET),
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
]
made = client.create_webhook("ci." + name, url, events, description="builds", secret=SECRET)
assert (made.name, made.url, made.description) == ("ci." + name, url, "builds"), made
assert (made.status, made.secret) == (WebhookStatus.ACTIVE, None), made
assert [str(e) for e in made.events] == [str(e) for e in events], made.events
assert made.creation_timestamp == made.last_updated_timestamp > 0, made

client.create_registered_model(name, tags={"team": "air"}, description="late?")
version = client.create_model_version(name, "s3://bucket/model", tags={"a": "1"}, description="first")
client.set_model_version_tag(name, version.version, "checked", "yes")
client.delete_model_version_tag(name, version.version, "checked")
client.set_registered_model_alias(name, "champion", version.version)
client.delete_registered_model_alias(name, "champion")
wanted = {
    "registered_model.created": {"name": name, "tags": {"team": "air"}, "description": "late?"},
    "model_version.created": {
        "name": name,
        "version": "1",
        "source": "s3://bucket/model",
        "run_id": None,
        "tags": {"a": "1"},
        "description": "first",
    },
    "model_version_tag.set": {"name": name, "version": "1", "key": "checked", "value": "yes"},
    "model_version_tag.deleted": {"name": name, "version": "1", "key": "checked"},
    "model_version_alias.created": {"name": name, "alias": "champion", "version": "1"},
    "model_version_alias.deleted": {"name": name, "alias": "champion"},
}
told = dict(received() for _ in wanted)
assert told == wanted, told

mlflow.genai.register_prompt(f"{name}-prompt", "Hello {{who}}!", tags={"b": "2"}, commit_message="greet")
told = dict(received() for _ in range(2))
assert told["prompt.created"]["name"] == f"{name}-prompt", told
assert told["prompt_version.created"]["template"] == "Hello {{who}}!", told
assert told["prompt_version.created"]["version"] == "1", told

for event in made.events:
    tried = client.test_webhook(made.webhook_id, event)
    assert (tried.success, tried.response_status, tried.response_body) == (True, 200, "thank you"), tried
    assert received() == (str(event), get_example_payload_for_event(event))
assert client.test_webhook(made.webhook_id).success
assert received()[0] == "registered_model.created"

changed = client.update_webhook(
    made.webhook_id, name="renamed", description="", events=["model_version.created"], secret="", status="DISABLED"
)
assert (changed.name, changed.description, changed.status) == ("renamed", None, WebhookStatus.DISABLED), changed
assert [str(e) for e in changed.events] == ["model_version.created"], changed
assert changed.url == url
client.create_model_version(name, "s3://bucket/missed")
client.update_webhook(made.webhook_id, status=WebhookStatus.ACTIVE)
client.create_model_version(name, "s3://bucket/told")
assert received(signed=False)[1]["source"] == "s3://bucket/told"
assert str(client.get_webhook(made.webhook_id)) == str(client.get_webhook(changed.webhook_id))

others = [client.create_webhook(f"other-{n}", url, ["prompt.created"]).webhook_id for n in range(3)]
first = client.list_webhooks(max_results=2)
assert [w.webhook_id for w in first] == others[:0:-1], first
rest = client.list_webhooks(max_results=2, page_token=first.token)
assert [w.webhook_id for w in rest] == [others[0], made.webhook_id], rest
assert not rest.token, rest.token
for webhook_id in (*others, made.webhook_id):
    client.delete_webhook(webhook_id)
assert client.list_webhooks() == []


def refused(code, call, *arguments, **named):
    found = None
    try:
        call(*arguments, **named)
    except MlflowException as error:
        found = error
    assert found is not None, f"{call} was not refused"
    assert found.error_code == code, found
    return str(found)


refused("RESOURCE_DOES_NOT_EXIST", client.get_webhook, made.webhook_id)
refused("RESOURCE_DOES_NOT_EXIST", client.delete_webhook, made.webhook_id)
refused("INVALID_PARAMETER_VALUE", client.create_webhook, "-bad", url, ["model_version.created"])
refused("INVALID_PARAMETER_VALUE", client.create_webhook, "ci", "ftp://x/", ["model_version.created"])
assert "10.0.0.1" in refused(
    "INVALID_PARAMETER_VALUE", client.create_webhook, "ci", "https://10.0.0.1/", ["model_version.created"]
)
refused("INVALID_PARAMETER_VALUE", client.create_webhook, "ci", url, ["budget_policy.exceeded"])
refused("INVALID_PARAMETER_VALUE", client.list_webhooks, max_results=1001)
assert came.empty(), came.get()
