"""The training service's composition root: which part is handed to which."""

from __future__ import annotations

from functools import partial

from modelog_common.events.entities import Entities
from modelog_common.rpc.sight import Sight
from modelog_common.service import Host
from modelog_proto.training.v1.training_pb2_grpc import add_TrainingServiceServicer_to_server

from modelog_training.api.training import TrainingServicer
from modelog_training.compute.ray_local import RayWorkers
from modelog_training.handle.files import Files
from modelog_training.handle.folders import JobFolders
from modelog_training.handle.jobs import Jobs
from modelog_training.job.decide import JOB
from modelog_training.job.events import EVENTS
from modelog_training.react.attempt import Tools
from modelog_training.react.patience import Patience
from modelog_training.react.runner import Runner
from modelog_training.read.project import projections
from modelog_training.read.queries import JobQueries
from modelog_training.read.tables import TABLES
from modelog_training.registry import Registry
from modelog_training.settings import training_cpus
from modelog_training.sight import VOCABULARY, things_of


async def build(host: Host) -> None:
    """Wire the training service into a host."""
    cpus = training_cpus()
    queries = JobQueries(host.project(TABLES, projections(host.store)))
    registry = Registry(host.peer("registry"))
    files = Files(host.data_dir / "files", registry)
    folders = JobFolders(host.data_dir / "jobs")
    entities = Entities(host.store, JOB, EVENTS, host.snapshots)
    host.narrow(Sight(partial(host.peer, "registry"), VOCABULARY, partial(things_of, entities)))
    jobs = Jobs(entities, registry, files, cpus, host.verifier.verify(host.token).tenant)
    host.serve(
        add_TrainingServiceServicer_to_server,
        TrainingServicer(jobs, queries, folders, host.clock),
        "modelog.training.v1.TrainingService",
    )
    workers = RayWorkers(host.data_dir, cpus)
    tools = Tools(registry, workers, folders, files, Patience())
    runner = Runner(entities, host.store, tools, host.clock, cpus)
    host.background("runner", runner.run)
