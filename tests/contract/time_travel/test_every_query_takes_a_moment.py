"""Every question can be asked as of a moment: in the contracts, in the SDK and on the command line."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import modelog
import modelog.api
import modelog.cli
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from modelog_gateway.rest.contracts import FILES, routes
from modelog_gateway.rest.openapi import document
from modelog_proto.common.v1 import common_pb2, options_pb2

# What neither is as of a moment nor carries a request id, and why.
OF_NOW = {
    # The process that answers, its memory and how far it is: nobody recorded them, and they are not in the log.
    "common.AdminService.GetStatus": "a running process",
    "gateway.PlatformService.ListServices": "running processes",
    # How far a consumer is stands beside what it wrote, and only there.
    "common.AdminService.GetStreamProgress": "how far a consumer is now",
    "common.AdminService.ListDeadLetters": "what waits to be replayed now",
    "common.AdminService.GetDeadLetter": "what waits to be replayed now",
    "gateway.PlatformService.ListDeadLetters": "what waits to be replayed now",
    "gateway.PlatformService.GetDeadLetter": "what waits to be replayed now",
    "gateway.PlatformService.GetTopicProgress": "how far a consumer is now",
    # What was sent and what came of it stands in the ledger, each attempt with its time.
    "registry.Webhooks.ListDeliveries": "a ledger beside the log",
    "registry.Webhooks.GetDelivery": "a ledger beside the log",
    # Which keys were destroyed is told by the store of keys, each with its time: a destroyed key stays destroyed,
    # whichever moment one looks at.
    "gateway.IdentityService.ListErasures": "a list of the key store, each with its time",
    # The token that the call carries.
    "gateway.IdentityService.WhoAmI": "the caller's token",
    # Text that a process writes; it is a file, not events.
    "training.TrainingService.GetJobLogs": "what a process prints",
    # A statement about the whole log as it is now; an older one is the file that somebody kept.
    "lineage.AuditService.GetCheckpoint": "signed of the log as it is",
    # These name the sizes, positions and moments that they are about.
    "lineage.AuditService.GetInclusionProof": "names its position",
    "lineage.AuditService.ProvePrediction": "an answer never changes, and is proven in the log as it is",
    "serving.DeploymentService.ReplayPredictions": "names the times between which it replays",
    "serving.LearningService.ReplayLearningStep": "a step never changes, and is taken again now",
    "serving.DeploymentService.GetPredictionInclusion": "an answer never changes, and is sealed once",
    "lineage.AuditService.GetConsistencyProof": "names its sizes",
    "lineage.AuditService.DiffEvents": "names the two moments that it compares",
    "lineage.AuditService.StreamEvents": "names where it starts, and then is live",
    # Who may see what is decided by who is a member now, whichever moment one looks at.
    "registry.Workspaces.FindHidden": "the members of now",
    # A link shows a thing as it is now, and is good or not now.
    "registry.Links.OpenLink": "a link shows what is now",
    # Content under its digest is the same for ever.
    "registry.ArtifactStore.DownloadArtifact": "named by its content",
    # Acts, and repeats safely without an id.
    "registry.ArtifactStore.UploadArtifact": "acts",
    "registry.ArtifactStore.UploadPart": "acts",
    # Parts are held beside the store until they are a file.
    "registry.ArtifactStore.GetUpload": "what is on its way now",
    "registry.Webhooks.ReplayDelivery": "acts",
    "registry.ExperimentRegistry.StartRuns": "acts; each of its runs has a request id of its own",
    "common.AdminService.Rebuild": "acts",
    "common.AdminService.ReplayDeadLetter": "acts",
    "gateway.PlatformService.ReplayDeadLetter": "acts",
    "gateway.PlatformService.RebuildServices": "acts",
    "lineage.AuditService.VerifyAudit": "reads the store's file as it is",
}
API = Path(inspect.getfile(modelog.api)).parent
CLI = Path(inspect.getfile(modelog.cli)).parent
# SDK methods whose question has no moment: see OF_NOW.
SDK_OF_NOW = {
    "Jobs.logs",
    "Users.erasures",
    "Audit.checkpoint",
    "Audit.proof",
    "Audit.prove",
    "Deployments.replay",
    "Audit.consistency",
    "Audit.exact_events",
    "Audit.diff",
    "DeadLetters.list",
    "DeadLetters.get",
    "Webhooks.deliveries",
    "Webhooks.delivery",
}
# An event is the same whenever it is looked at; a head that a message names, or that is followed from, is that of now;
# a signature is checked with the files that are held now.
CLI_OF_NOW = {
    ("events.py", "show"),
    ("events.py", "follow"),
    ("bisect.py", "bisect"),
    ("dead.py", "list_letters"),
    ("dead.py", "show"),
    ("signing.py", "_of_platform"),
}


def files() -> Iterator[FileDescriptor]:
    yield common_pb2.DESCRIPTOR
    for module in FILES:
        yield module.DESCRIPTOR  # type: ignore[attr-defined]


def methods() -> dict[str, MethodDescriptor]:
    """Every method of every service: "registry.ModelRegistry.GetModel" -> its descriptor."""
    return {
        f"{file.package.split('.')[1]}.{service.name}.{method.name}": method
        for file in files()
        for service in file.services_by_name.values()
        for method in service.methods
    }


def is_as_of(method: MethodDescriptor) -> bool:
    read = method.input_type.fields_by_name.get("read")
    return read is not None and read.message_type.full_name == "modelog.common.v1.ReadOptions"


def test_every_contract_is_known_here() -> None:
    known = {file.name for file in files()}
    proto = Path(__file__).parents[3] / "proto"
    written = {str(p.relative_to(proto)) for p in proto.glob("modelog/*/v1/*.proto")}
    assert {name for name in written if re.search(r"^service ", (proto / name).read_text(), re.M)} <= known


def test_every_method_reads_as_of_a_moment_or_says_why_not() -> None:
    for name, method in methods().items():
        is_command = "request_id" in method.input_type.fields_by_name
        kinds = [is_as_of(method), is_command, name in OF_NOW]
        assert sum(kinds) == 1, (
            f"{name}: a method that reads has a field `modelog.common.v1.ReadOptions read`, one that changes "
            f"something a `request_id`, and one that can have neither stands in OF_NOW; this has {sum(kinds)}"
        )
    assert set(OF_NOW) <= set(methods())


def test_what_is_known_of_the_present_only_is_marked_in_the_document() -> None:
    described = document(routes(), "1")["components"]["schemas"]
    marked = [
        (field.containing_type.name, field.name)
        for file in files()
        for message in file.message_types_by_name.values()
        for field in message.fields
        if field.GetOptions().Extensions[options_pb2.live]
    ]
    assert ("Monitor", "settled_watermark") in marked
    for message, field in marked:
        assert "Known of the present only" in described[message]["properties"][field]["description"]


def test_every_reading_route_takes_a_moment() -> None:
    paths = document(routes(), "1")["paths"]
    reading = [route for route in routes() if is_as_of(route.method)]
    assert len(reading) > 20
    for route in reading:
        operation = paths[route.path][route.verb.lower()]
        if route.has_body:
            body = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
            assert body["read"]["$ref"].endswith("/ReadOptions"), route.path
        else:
            assert {"as_of", "at_least"} <= {p["name"] for p in operation["parameters"]}, route.path


def functions(folder: Path) -> Iterator[tuple[Path, str, ast.FunctionDef]]:
    """Every function of a folder's modules, with "Class." before a method's name."""
    for file in sorted(folder.glob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                yield from ((file, f"{node.name}.{f.name}", f) for f in node.body if isinstance(f, ast.FunctionDef))
            elif isinstance(node, ast.FunctionDef):
                yield file, node.name, node


def calls(function: ast.FunctionDef) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a function: "client.models.get" and the call."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def parameters(function: ast.FunctionDef) -> set[str]:
    return {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}


def passes_as_of(call: ast.Call) -> bool:
    return any(k.arg == "as_of" and ast.unparse(k.value) == "as_of" for k in call.keywords)


def sdk_readers() -> set[str]:
    """The names of the SDK's methods that take a moment, such as "get"."""
    return {name.split(".")[-1] for _, name, f in functions(API) if "as_of" in parameters(f)}


def test_every_question_of_the_sdk_takes_a_moment() -> None:
    asking = [
        (name, function, call)
        for _, name, function in functions(API)
        for what, call in calls(function)
        if what in ("self._transport.get", "self._transport.ask") and name not in SDK_OF_NOW
    ]
    assert len(asking) > 20
    for name, function, call in asking:
        assert "as_of" in parameters(function), f"{name} asks, and takes no as_of"
        assert passes_as_of(call), f"{name} takes as_of, and does not ask with it"


def test_every_reading_command_takes_a_moment() -> None:
    readers = sdk_readers()
    parts = {name for name, value in vars(modelog.Client("http://x", "")).items() if hasattr(value, "_transport")}
    asking = [
        (file.name, name, call)
        for file, name, function in functions(CLI)
        for what, call in calls(function)
        if what.startswith("client.") and what.split(".")[1] in parts and what.split(".")[-1] in readers
    ]
    assert len(asking) > 15
    for file, name, call in asking:
        if (file, name) not in CLI_OF_NOW:
            assert passes_as_of(call), f"{file}: {name} asks {ast.unparse(call)} without the moment of --as-of"
