"""How the events of registry and training are told."""

from __future__ import annotations

from collections.abc import Mapping

from modelog_lineage.story import tell_changes
from modelog_lineage.story.telling import Happened, Past, Sentence
from modelog_lineage.story.words import Payload, because, count, listed, short, word

REVIEWED = "registry.VersionReviewed"


def _version(p: Payload) -> str:
    return f"{word(p['model'])} {word(p['version'])}"


def _version_registered(p: Payload) -> str:
    made = f", made by run {short(p['run_id'])}" if p.get("run_id") else ""
    return f"{word(p['author'])} registered {_version(p)} ({word(p['flavor'])}{made})"


def _promoted(p: Payload) -> str:
    way = f"went from {word(p['from_stage'])} to {word(p['to_stage'])}"
    return f"{_version(p)} {way}, promoted by {word(p['by'])}{because(p['reason'])}"


def _promotions(h: Happened) -> str:
    """Where a version stood before and where it stands now, and on whose approval."""
    before, after = h.first["from_stage"], h.last["to_stage"]
    approver = _approver(h.past, h.last["approval_id"])
    approved = f", approved by {word(approver)}" if approver else ""
    way = f"went from {word(before)} to {word(after)}"
    if before == after:
        way = f"moved {count(h.count, 'time')} and is back in {word(after)}"
    return f"{_version(h.last)} {way}{approved}, promoted by {word(h.last['by'])}{because(h.last['reason'])}"


def _approver(past: Past, approval_id: str) -> str:
    """Who gave it: to the version itself, or to the change request that asked for the promotion."""
    if not approval_id:
        return ""
    who = {REVIEWED: "reviewer", tell_changes.REVIEWED: "by"}
    found = (p[who[kind]] for kind, p in past if kind in who and p["approval_id"] == approval_id)
    return next(found, "")


def _reviewed(p: Payload) -> str:
    return f"{word(p['reviewer'])} {word(p['decision'])} {_version(p)}{because(p['comment'])}"


def _sla_set(p: Payload) -> str:
    return f"{word(p['by'])} set targets {word(p['number'])} of the model {word(p['model'])}{because(p['reason'])}"


def _tagged(p: Payload, thing: str) -> str:
    parts = [f"set {count(len(p['tags']), 'tag')}"] if p["tags"] else []
    parts += [f"took away {count(len(p['removed']), 'tag')}"] if p["removed"] else []
    return f"{word(p['by'])} {listed(parts)} of {thing}"


def _alias_set(p: Payload) -> str:
    before = f", not to {word(p['from_version'])} any more" if p["from_version"] else ""
    return f"{word(p['by'])} pointed the alias {word(p['alias'])} to {_version(p)}{before}"


def _run_started(p: Payload) -> str:
    named = f"run {word(p['name'])}" if p["name"] else f"run {short(p['run_id'])}"
    return f"{word(p['author'])} started the {named} in the experiment {word(p['experiment'])}"


def _logged(p: Payload) -> str:
    parts = [
        count(len(p[field]), one)
        for field, one in (
            ("parameters", "parameter"),
            ("metrics", "metric point"),
            ("artifacts", "artifact"),
            ("tags", "tag"),
        )
        if p[field]
    ]
    if p["environment"]:
        parts.append("its environment")
    return f"run {short(p['run_id'])} logged {listed(parts)}"


def _logs(h: Happened) -> str:
    return h.told if h.count == 1 else f"run {short(h.last['run_id'])} logged {count(h.count, 'time')}"


def _sealed(p: Payload) -> str:
    points = count(p["count"], "point")
    return f"run {short(p['run_id'])} measured {points} of {count(len(p['latest']), 'metric')}"


def _seals(h: Happened) -> str:
    return h.told if h.count == 1 else f"run {short(h.last['run_id'])} measured {count(h.count, 'time')}"


def _several(p: Payload, *fields: tuple[str, str]) -> str:
    return listed(count(len(p[field]), one) for field, one in fields if p[field])


def _made_by(p: Payload) -> str:
    return f", made by run {short(p['source_run_id'])}" if p["source_run_id"] else ""


def _owner(p: Payload) -> str:
    return f"{word(p['kind'])} {short(p['owner'])}"


def _run_ended(p: Payload) -> str:
    return f"run {short(p['run_id'])} {word(p['status'])}{because(p['error'])}"


def _dataset_version(p: Payload) -> str:
    label = f" ({word(p['label'])})" if p["label"] else ""
    version = f"version {word(p['version'])} of the dataset {word(p['dataset'])}{label}"
    return f"{word(p['author'])} registered {version}: {count(p['rows'], 'row')}"


def _submitted(p: Payload) -> str:
    data = listed(f"{word(d['dataset'])} {word(d['version'])}" for d in p["datasets"][:5])
    on = f" on {data}" if p["datasets"] else ""
    more = f" and {len(p['datasets']) - 5} more" if len(p["datasets"]) > 5 else ""
    return f"{word(p['author'])} submitted the job {word(p['name']) or short(p['job_id'])}{on}{more}"


def _job(p: Payload) -> str:
    return f"job {short(p['job_id'])}"


def _checked(p: Payload) -> str:
    if p["passed"]:
        return f"{_job(p)} found its data as expected ({count(len(p['results']), 'check')})"
    failed = [r for r in p["results"] if not r["passed"]]
    first = f"{word(failed[0]['column'])} {word(failed[0]['kind'])}" if failed else "not said which"
    return f"{_job(p)} found its data not as expected: {count(len(failed), 'failed check')}, the first is {first}"


def _succeeded(p: Payload) -> str:
    made = f" and made {word(p['model'])} {word(p['registered_version'])}" if p["registered_version"] else ""
    return f"{_job(p)} succeeded{made}"


def _of_workspace(p: Payload) -> str:
    return f" of the workspace {word(p['workspace'])}" if p.get("workspace") else ""


SENTENCES: Mapping[str, Sentence] = {
    "registry.ModelRegistered": Sentence(lambda p: f"{word(p['author'])} registered the model {word(p['name'])}"),
    "registry.VersionRegistered": Sentence(_version_registered),
    REVIEWED: Sentence(_reviewed),
    "registry.VersionPromoted": Sentence(_promoted, _promotions, lambda p: word(p["version"]), with_past=True),
    "registry.ModelUpdated": Sentence(lambda p: f"{word(p['by'])} described the model {word(p['model'])} anew"),
    "registry.ModelTagged": Sentence(lambda p: _tagged(p, f"the model {word(p['model'])}")),
    "registry.ModelRenamed": Sentence(
        lambda p: f"{word(p['by'])} renamed the model {word(p['old_name'])} to {word(p['name'])}"
    ),
    "registry.ModelDeleted": Sentence(
        lambda p: f"{word(p['by'])} deleted the model {word(p['model'])}{because(p['reason'])}"
    ),
    "registry.VersionUpdated": Sentence(lambda p: f"{word(p['by'])} described {_version(p)} anew"),
    "registry.VersionTagged": Sentence(lambda p: _tagged(p, _version(p))),
    "registry.VersionDeleted": Sentence(lambda p: f"{word(p['by'])} deleted {_version(p)}{because(p['reason'])}"),
    "registry.AliasSet": Sentence(_alias_set),
    "registry.AliasDeleted": Sentence(
        lambda p: f"{word(p['by'])} took the alias {word(p['alias'])} away from {_version(p)}"
    ),
    **tell_changes.SENTENCES,
    "registry.VersionSigned": Sentence(
        lambda p: f"{word(p['by'])} signed {_version(p)} with the key {short(p['key'])}"
    ),
    "registry.SlaSet": Sentence(_sla_set),
    "registry.RetirementAnnounced": Sentence(
        lambda p: f"{_version(p)} is to be archived on {word(p['due'])[:10]}: {word(p['reason'])}"
    ),
    "registry.RetirementObjected": Sentence(
        lambda p: f"{word(p['by'])} wants to keep {_version(p)}{because(p['reason'])}"
    ),
    "registry.RetirementCalledOff": Sentence(
        lambda p: f"the retirement of {_version(p)} was called off{because(p['reason'])}"
    ),
    "registry.RetirementPolicySet": Sentence(
        lambda p: f"{word(p['by'])} set version {word(p['version'])} of the retirement policy{because(p['reason'])}"
    ),
    "registry.CardEdited": Sentence(lambda p: f"{word(p['by'])} wrote in the model card of {_version(p)}"),
    "registry.PromotionPolicySet": Sentence(
        lambda p: (
            f"{word(p['by'])} set version {word(p['version'])} of the promotion policy{_of_workspace(p)}"
            f"{because(p['reason'])}"
        )
    ),
    "registry.WebhookCreated": Sentence(
        lambda p: f"{word(p['by'])} created the webhook {word(p['name'])} to {word(p['target']['shown'])}"
    ),
    "registry.WebhookUpdated": Sentence(lambda p: f"{word(p['by'])} changed the webhook {word(p['name'])}"),
    "registry.WebhookSecretSet": Sentence(
        lambda p: f"{word(p['by'])} set the secret of the webhook {short(p['webhook_id'])}"
    ),
    "registry.WebhookSwitched": Sentence(
        lambda p: f"{word(p['by'])} {'enabled' if p['active'] else 'disabled'} the webhook {short(p['webhook_id'])}"
    ),
    "registry.WebhookReplayed": Sentence(
        lambda p: (
            f"{word(p['by'])} had positions {p['first']} to {p['last']} sent to the webhook "
            f"{short(p['webhook_id'])} again"
        )
    ),
    "registry.WebhookDeleted": Sentence(lambda p: f"{word(p['by'])} deleted the webhook {short(p['webhook_id'])}"),
    "registry.ExperimentCreated": Sentence(lambda p: f"{word(p['author'])} created the experiment {word(p['name'])}"),
    "registry.ExperimentRenamed": Sentence(
        lambda p: f"{word(p['by'])} renamed the experiment {word(p['old_name'])} to {word(p['name'])}"
    ),
    "registry.ExperimentDescribed": Sentence(
        lambda p: f"{word(p['by'])} described the experiment {short(p['experiment_id'])} anew"
    ),
    "registry.ExperimentTagged": Sentence(lambda p: _tagged(p, f"the experiment {short(p['experiment_id'])}")),
    "registry.ExperimentArtifactsAdded": Sentence(
        lambda p: (
            f"{word(p['by'])} added {count(len(p['artifacts']), 'file')} to the experiment {short(p['experiment_id'])}"
        )
    ),
    "registry.ExperimentArtifactsRemoved": Sentence(
        lambda p: (
            f"{word(p['by'])} took {count(len(p['paths']), 'file')} off the experiment {short(p['experiment_id'])}"
        )
    ),
    "registry.ExperimentDeleted": Sentence(lambda p: f"{word(p['by'])} deleted the experiment {word(p['name'])}"),
    "registry.ExperimentRestored": Sentence(lambda p: f"{word(p['by'])} restored the experiment {word(p['name'])}"),
    "registry.NameTaken": Sentence(lambda p: f"the name {word(p['name'])} went to the {_owner(p)}"),
    "registry.NameReleased": Sentence(lambda p: f"the {_owner(p)} let the name {word(p['name'])} go"),
    "registry.RunStarted": Sentence(_run_started),
    "registry.RunLogged": Sentence(_logged, _logs),
    "registry.MetricsSealed": Sentence(_sealed, _seals),
    "registry.RunEnded": Sentence(_run_ended),
    "registry.RunResumed": Sentence(
        lambda p: f"{word(p['by'])} set run {short(p['run_id'])} {word(p['status'])} again"
    ),
    "registry.RunRenamed": Sentence(lambda p: f"{word(p['by'])} renamed run {short(p['run_id'])} to {word(p['name'])}"),
    "registry.RunTagged": Sentence(lambda p: _tagged(p, f"run {short(p['run_id'])}")),
    "registry.RunInputsLogged": Sentence(
        lambda p: f"run {short(p['run_id'])} read {_several(p, ('datasets', 'dataset'), ('models', 'logged model'))}"
    ),
    "registry.RunOutputsLogged": Sentence(
        lambda p: f"run {short(p['run_id'])} made {_several(p, ('models', 'logged model'))}"
    ),
    "registry.RunArtifactsRemoved": Sentence(
        lambda p: f"{word(p['by'])} took {count(len(p['paths']), 'file')} off run {short(p['run_id'])}"
    ),
    "registry.RunDeleted": Sentence(lambda p: f"{word(p['by'])} deleted run {short(p['run_id'])}"),
    "registry.RunRestored": Sentence(lambda p: f"{word(p['by'])} restored run {short(p['run_id'])}"),
    "registry.LoggedModelCreated": Sentence(
        lambda p: f"{word(p['author'])} began the logged model {word(p['name'])}{_made_by(p)}"
    ),
    "registry.LoggedModelAddedTo": Sentence(
        lambda p: f"{word(p['by'])} told more of the logged model {short(p['model_id'])}"
    ),
    "registry.LoggedModelFinalised": Sentence(
        lambda p: f"the logged model {short(p['model_id'])} is {word(p['status'])}{because(p['message'])}"
    ),
    "registry.LoggedModelArtifactsRemoved": Sentence(
        lambda p: f"{word(p['by'])} took {count(len(p['paths']), 'file')} off the logged model {short(p['model_id'])}"
    ),
    "registry.LoggedModelDeleted": Sentence(
        lambda p: f"{word(p['by'])} deleted the logged model {short(p['model_id'])}"
    ),
    "registry.DatasetVersionRegistered": Sentence(_dataset_version),
    "training.JobSubmitted": Sentence(_submitted),
    "training.JobStarted": Sentence(lambda p: f"{_job(p)} began attempt {word(p['attempt'])}"),
    "training.DataChecked": Sentence(_checked),
    "training.RunLinked": Sentence(lambda p: f"{_job(p)} is told of in run {short(p['run_id'])}"),
    "training.AttemptLost": Sentence(lambda p: f"{_job(p)} lost attempt {word(p['attempt'])}{because(p['reason'])}"),
    "training.BatchStarted": Sentence(
        lambda p: (
            f"{_job(p)} began to predict {count(p['rows'], 'row')} of {word(p['source'])} with "
            f"{word(p['model'])} {word(p['version'])}"
        )
    ),
    "training.BatchFinished": Sentence(
        lambda p: (
            f"{_job(p)} wrote {count(p['rows'], 'predicted row')} to {word(p['output'])}"
            + (f", {p['errors']} of them without a prediction" if p["errors"] else "")
        )
    ),
    "training.JobSucceeded": Sentence(_succeeded),
    "training.JobFailed": Sentence(lambda p: f"{_job(p)} failed{because(p['error'])}"),
    "training.JobCancelRequested": Sentence(
        lambda p: f"{word(p['by'])} asked to cancel {_job(p)}{because(p['reason'])}"
    ),
    "training.JobCancelled": Sentence(lambda p: f"{_job(p)} was cancelled by {word(p['by'])}{because(p['reason'])}"),
}
