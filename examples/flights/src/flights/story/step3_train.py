"""Step 3: a training job on Ray fits XGBoost on January and February; its run keeps everything about it."""

from __future__ import annotations

from typing import Any

from modelog.types import Job

from flights.story.cast import MODEL, SOURCE, Story


def job_spec(story: Story) -> dict[str, Any]:
    """The same job trains the champion now and the challengers later."""
    return story.alice.jobs.spec(
        MODEL,
        "flights.train:main",
        source=SOURCE,
        parameters={"threads": 2},
        cpus=2,
        register=MODEL,
        description="Will this flight arrive more than 15 minutes late?",
    )


def tell(story: Story) -> None:
    story.step(3, "Train on January and February")
    story.alice.models.create(MODEL, "Will this flight arrive more than 15 minutes late?")
    spec = {**job_spec(story), "datasets": [story.versions[1].ref, story.versions[2].ref]}
    submitted = story.alice.jobs.submit(spec)
    with story.console.status("queued") as status:

        def progress(job: Job) -> None:
            status.update(f"job {job.id}: {job.status.removeprefix('JOB_STATUS_').lower()}")

        story.job = story.alice.jobs.wait(submitted.id, timeout_s=1800, progress=progress)
    run = story.alice.runs.get(story.job.run_id)
    passed = sum(check.passed for check in story.job.checks)
    story.say(f"{passed} of {len(story.job.checks)} checks on the data passed before training")
    story.say("metrics: " + ", ".join(f"{name} {value:.3f}" for name, value in sorted(run.metrics.items())[:4]))
    environment = run.environment
    if environment is not None:
        commit = environment.git_commit[:12] or "none"
        story.say(f"recorded: Python {environment.python}, {len(environment.packages)} packages, Git commit {commit}")
    story.say("trained on: " + ", ".join(f"{d.dataset} {d.version} ({d.digest[:12]}...)" for d in run.datasets))
