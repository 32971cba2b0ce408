"""What a test of a webhook sends: MLflow's examples, and examples of our own events."""

from __future__ import annotations

from typing import Any

_MODEL = {"name": "example_model"}
_PROMPT = {"name": "example_prompt"}
_TAG = {"key": "example_key", "value": "example_value"}
_TAGS = {"tags": {"example_key": "example_value"}}
_ALIAS = {"alias": "example_alias"}
_NUMBERED = {"version": "1"}
_SEMANTIC = {**_MODEL, **_NUMBERED, "semantic_version": "1.0.0"}
_CHANGE = {**_SEMANTIC, "change": 1, "to_stage": "production", "by": "alice", "comment": "An example"}
_RETIRED = {**_SEMANTIC, "reason": "unused in staging since 2025-12-01", "by": "service:registry"}
_RUN = {"run_id": "abcd1234abcd5678", "experiment_id": "0", "run_name": "example_run", "error": ""}

EXAMPLES: dict[str, dict[str, Any]] = {
    "registered_model.created": {**_MODEL, **_TAGS, "description": "An example registered model"},
    "model_version.created": {
        **_MODEL,
        **_NUMBERED,
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        **_TAGS,
        "description": "An example model version",
    },
    "model_version_tag.set": {**_MODEL, **_NUMBERED, **_TAG},
    "model_version_tag.deleted": {**_MODEL, **_NUMBERED, "key": "example_key"},
    "model_version_alias.created": {**_MODEL, **_ALIAS, **_NUMBERED},
    "model_version_alias.deleted": {**_MODEL, **_ALIAS},
    "prompt.created": {**_PROMPT, **_TAGS, "description": "An example prompt"},
    "prompt_version.created": {
        **_PROMPT,
        **_NUMBERED,
        "template": "Hello {{name}}!",
        **_TAGS,
        "description": "An example prompt version",
    },
    "prompt_tag.set": {**_PROMPT, **_TAG},
    "prompt_tag.deleted": {**_PROMPT, "key": "example_key"},
    "prompt_version_tag.set": {**_PROMPT, **_NUMBERED, **_TAG},
    "prompt_version_tag.deleted": {**_PROMPT, **_NUMBERED, "key": "example_key"},
    "prompt_alias.created": {**_PROMPT, **_ALIAS, **_NUMBERED},
    "prompt_alias.deleted": {**_PROMPT, **_ALIAS},
    "model_version_stage.changed": {
        **_SEMANTIC,
        "from_stage": "staging",
        "to_stage": "production",
        "by": "alice",
        "reason": "",
    },
    "model_version_promotion.requested": {**_CHANGE, "risk": "low"},
    "model_version_promotion.approved": {**_CHANGE, "by": "bob"},
    "model_version_promotion.refused": {**_CHANGE, "by": "bob"},
    "model_version_review.approved": {**_SEMANTIC, "reviewer": "bob", "comment": "An example"},
    "model_version_review.rejected": {**_SEMANTIC, "reviewer": "bob", "comment": "An example"},
    "model_version_retirement.announced": {**_RETIRED, "due": "2026-01-31T00:00:00+00:00"},
    "model_version_retirement.objected": {**_RETIRED, "reason": "An example", "by": "bob"},
    "model_version_retirement.called_off": {**_RETIRED, "reason": "no rule holds any more"},
    "model_version_retirement.carried_out": {**_RETIRED, "reason": "retired: unused in staging since 2025-12-01"},
    "model_version_signature.added": {**_SEMANTIC, "key": "0" * 64, "files": ["card.json"], "by": "alice"},
    "run.finished": _RUN,
    "run.failed": {**_RUN, "error": "An example error"},
    "run.cancelled": _RUN,
}
