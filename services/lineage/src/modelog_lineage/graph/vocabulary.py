"""The kinds of things and of links in the graph, and how a thing is named.

Every link points from a thing to what it came from, so upstream is along the links and downstream against them.
"""

from __future__ import annotations

from enum import StrEnum

from modelog_common.domain.errors import Invalid


class Kind(StrEnum):
    """Kinds of nodes; they are labels in the graph and the first half of a node's id."""

    DATASET = "Dataset"
    DATASET_VERSION = "DatasetVersion"
    EXPERIMENT = "Experiment"
    RUN = "Run"
    JOB = "Job"
    BATCH = "Batch"
    MODEL = "Model"
    MODEL_VERSION = "ModelVersion"
    APPROVAL = "Approval"
    CHANGE_REQUEST = "ChangeRequest"
    DEPLOYMENT = "Deployment"
    MONITOR = "Monitor"
    WINDOW = "Window"
    ALERT = "Alert"
    RETRAINING = "Retraining"
    USER = "User"


class Link(StrEnum):
    """Kinds of edges; the comment says between which kinds they run."""

    VERSION_OF = "VERSION_OF"  # DatasetVersion -> Dataset, ModelVersion -> Model
    PART_OF = "PART_OF"  # Run -> Experiment
    TRAINED_ON = "TRAINED_ON"  # Run, Job, ModelVersion -> DatasetVersion
    EXECUTED_BY = "EXECUTED_BY"  # Run, Batch -> Job
    READ = "READ"  # Batch -> DatasetVersion
    PREDICTED_BY = "PREDICTED_BY"  # Batch -> ModelVersion
    PRODUCED_BY = "PRODUCED_BY"  # ModelVersion -> Run
    APPROVED_BY = "APPROVED_BY"  # ModelVersion, ChangeRequest -> Approval
    REJECTED_BY = "REJECTED_BY"  # ModelVersion, ChangeRequest -> User
    ASKED_FOR_IN = "ASKED_FOR_IN"  # ModelVersion -> ChangeRequest
    LEANS_ON = "LEANS_ON"  # ChangeRequest -> Run
    GIVEN_BY = "GIVEN_BY"  # Approval -> User
    PROMOTED_BY = "PROMOTED_BY"  # ModelVersion -> User, Retraining
    SERVES = "SERVES"  # Deployment -> ModelVersion, for as long as it gets traffic
    WATCHES = "WATCHES"  # Monitor -> Deployment
    COMPARES_WITH = "COMPARES_WITH"  # Monitor -> DatasetVersion
    SEEN_BY = "SEEN_BY"  # Window -> Monitor
    RAISED_BY = "RAISED_BY"  # Alert -> Window
    TRIGGERED_BY = "TRIGGERED_BY"  # Retraining -> Window
    REPLACES = "REPLACES"  # Retraining -> ModelVersion, the champion
    STARTED_BY = "STARTED_BY"  # Job -> Retraining
    RENAMED_FROM = "RENAMED_FROM"  # Model, ModelVersion, ChangeRequest -> the same under the name of before
    CREATED_BY = "CREATED_BY"  # anything -> User


# What lies behind these is seen as it was when they were made: a window says nothing about what was deployed later.
MOMENTS = frozenset({Kind.WINDOW, Kind.ALERT})


def node_id(kind: Kind, key: str) -> str:
    """ "ModelVersion:flight-delay/1.0.0" """
    return f"{kind}:{key}"


def version_key(name: str, version: object) -> str:
    """The key of one version of a model or a dataset."""
    return f"{name}/{version}"


def kind_of(node: str) -> Kind:
    """The kind of a node id; raises Invalid for one that the graph does not have."""
    name = node.partition(":")[0]
    try:
        return Kind(name)
    except ValueError:
        raise Invalid.field("node", f"{name!r} is not a kind of thing in the graph; it has {', '.join(Kind)}") from None
