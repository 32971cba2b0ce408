"""Step 4: the version is reviewed by a second user and promoted to production; approving one's own is refused."""

from __future__ import annotations

from modelog import NotAllowed

from flights.story.cast import MODEL, Story


class StoryWentWrong(Exception):
    """The platform did what it must not do."""


def tell(story: Story) -> None:
    story.step(4, "Four eyes, then production")
    version = story.job.registered_version
    try:
        story.alice.models.approve(MODEL, version, "looks good to me")
    except NotAllowed as refused:
        story.facts["refusal"] = str(refused)
        story.say(f"alice approves her own model: refused. [italic]{refused}[/]")
    else:
        raise StoryWentWrong("alice could approve her own model")
    story.bob.models.approve(MODEL, version, "held-out quality and data checked", {"metrics": story.job.metrics})
    story.say(f"bob approves {MODEL} {version}")
    story.alice.models.promote(MODEL, version, "staging", "approved")
    story.before_first_promotion = story.alice.models.get(MODEL).position
    story.first = story.alice.models.promote(MODEL, version, "production", "approved")
    story.say(f"{MODEL} {version}: development -> staging -> production")
