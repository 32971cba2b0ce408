"""How the events of serving, monitoring and the gateway are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelog_lineage.story.telling import Happened, Sentence
from modelog_lineage.story.words import Payload, because, count, day, figure, listed, short, word

CREATED, TRAFFIC = "serving.DeploymentCreated", "serving.TrafficSet"


def _deployed(p: Payload) -> str:
    where = f" in {word(p['environment'])}" if p["environment"] else ""
    return f"{word(p['author'])} deployed {word(p['model'])} {word(p['version'])} as {word(p['name'])}{where}"


def _split(shares: Iterable[Mapping[str, Any]]) -> str:
    return listed(f"{word(s['percent'])} % {word(s['version'])}" for s in shares if s["percent"])


def _traffic(p: Payload) -> str:
    return f"{word(p['by'])} set the traffic of {word(p['name'])} to {_split(p['shares'])}{because(p['reason'])}"


def _traffics(h: Happened) -> str:
    """From the split before the first change to that after the last."""
    before = "not known"
    for kind, p in h.past:
        if p == h.first:
            break
        if kind == CREATED:
            before = f"100 % {word(p['version'])}"
        elif kind == TRAFFIC:
            before = _split(p["shares"])
    steps = f" in {count(h.count, 'step')}" if h.count > 1 else ""
    way = f"went from {before} to {_split(h.last['shares'])}{steps}"
    return f"the traffic of {word(h.last['name'])} {way}, set by {word(h.last['by'])}{because(h.last['reason'])}"


def _stopped(p: Payload) -> str:
    return f"{word(p['by'])} stopped the deployment {word(p['name'])}{because(p['reason'])}"


def _scaling(p: Payload) -> str:
    s = p["scaling"]
    bounds = f"{word(s['min_replicas'])} to {word(s['max_replicas'])} replicas"
    each = f", each with {count(s['gpus'], 'GPU')}" if s.get("gpus") else ""
    return f"{word(p['by'])} lets {word(p['name'])} have {bounds}{each}{because(p['reason'])}"


def _caching(p: Payload) -> str:
    how = f"for {count(p['ttl_s'], 'second')}" if p["ttl_s"] else "no more"
    return f"{word(p['by'])} lets {word(p['name'])} give answers again {how}{because(p['reason'])}"


def _resilience(p: Payload) -> str:
    who, what, set_to = word(p["by"]), word(p["name"]), p["resilience"]
    if not set_to:
        return f"{who} lets {what} do nothing when a version fails{because(p['reason'])}"
    fallback = set_to.get("fallback") or {}
    parts = [
        "a circuit breaker" if set_to.get("breaker") else "",
        "retries" if set_to.get("retries") else "",
        f"{count(set_to['timeout_ms'], 'millisecond')} for an attempt" if set_to.get("timeout_ms") else "",
        f"version {word(fallback['version'])} instead" if fallback.get("version") else "",
        "a default answer" if fallback.get("outputs") else "",
    ]
    return f"{who} gives {what} {', '.join(filter(None, parts))} for when a version fails{because(p['reason'])}"


def _opened(p: Payload) -> str:
    many = f"{word(p['failures'])} of {count(p['requests'], 'request')} failed"
    return f"{word(p['name'])} asks {word(p['model'])} {word(p['version'])} no more: {many}{because(p['why'])}"


def _closed(p: Payload) -> str:
    asks = f"{word(p['name'])} asks {word(p['model'])} {word(p['version'])} again"
    return f"{asks} after {word(p['open_s'])} s{because(p['why'])}"


def _replicas(p: Payload) -> str:
    seen = f"{word(p['ready'])} of {word(p['wanted'])} replicas of {word(p['name'])} are ready in {word(p['backend'])}"
    return seen + (because("; ".join(p["problems"])) if p["problems"] else "")


def _replicas_of_many(h: Happened) -> str:
    return h.told if h.count == 1 else f"{_replicas(h.last)}, after {count(h.count, 'change')}"


def _monitor(p: Payload) -> str:
    return f"{word(p['author'])} began to watch the deployment {word(p['deployment'])} as {word(p['name'])}"


def _window(p: Payload) -> str:
    quality = f", AUC {figure(p['quality']['auc'])}" if p["quality"] else ", no labels"
    drift = f", {count(p['drifted_features'], 'drifted feature')}" if p["drifted_features"] else ""
    alerts = [name for name in ("drift", "quality") if p[f"{name}_alert"]]
    alarm = f" - {listed(alerts)} alert" if alerts else ""
    seen = f"{count(p['predictions'], 'prediction')}{quality}{drift}"
    return f"{word(p['monitor'])} judged {word(p['label'])}: {seen}{alarm}"


def _windows(h: Happened) -> str:
    if h.count == 1:
        return h.told
    first, last = word(h.first["label"]), word(h.last["label"])
    auc = [figure(p["quality"]["auc"]) if p["quality"] else "not known" for p in (h.first, h.last)]
    what = f"judged {count(h.count, 'window')}, {first} to {last}"
    return f"{word(h.last['monitor'])} {what}: the AUC went from {auc[0]} to {auc[1]}"


def _reference(p: Payload) -> str:
    figures = f"those of {word(p['version'])} (AUC {figure(p['auc'])})"
    return f"{word(p['monitor'])} holds quality against {figures}{because(p['reason'])}"


def _alert(p: Payload) -> str:
    return f"{word(p['monitor'])} raised a {word(p['kind'])} alert for {word(p['window'])}{because(p['text'])}"


def _delivered(p: Payload) -> str:
    tries = f" at attempt {word(p['attempts'])}" if p["attempts"] != 1 else ""
    # The address of a channel may hold a secret: its kind says enough.
    return f"an alert of {word(p['monitor'])} was delivered by {word(p['channel']).partition(' ')[0]}{tries}"


def _policy(p: Payload) -> str:
    when = listed(name for name in ("drift", "quality") if p[f"on_{name}"])
    return f"{word(p['author'])} set the retraining policy {word(p['name'])} for {word(p['monitor'])}, on {when} alerts"


def _retraining(p: Payload) -> str:
    why = f"after {word(p['window'])}, by the policy {word(p['policy'])}"
    return f"a challenger of {word(p['model'])} {word(p['champion'])} is trained {why}"


def _compared(p: Payload) -> str:
    rows = count(p["comparison"]["rows"], "row")
    auc = p["comparison"]["auc"]
    figures = f", AUC {figure(auc['challenger'])} against {figure(auc['champion'])}" if auc else ""
    return f"{'won' if p['challenger_wins'] else 'did not win'} on {rows}{figures}{because(p['reason'])}"


def _challenger(p: Payload) -> str:
    return f"retraining {short(p['retraining_id'])}"


def _canary(p: Payload) -> str:
    share = f"{word(p['percent'])} % of the traffic of {word(p['deployment'])}"
    return f"the challenger {word(p['challenger'])} answers {share}, approved by {word(p['reviewer'])}"


def _canary_looked(p: Payload) -> str:
    found = p["figures"]
    gain = figure(found["champion_brier"] - found["challenger_brier"], 4)
    seen = count(found["rows"], "row")
    bounds = f"{figure(found['low'], 4)} to {figure(found['high'], 4)}"
    return f"the canary of {_challenger(p)} saw {seen}, gain in Brier score {gain}, from {bounds} at any look"


def _canary_decided(p: Payload) -> str:
    end = "won" if p["challenger_wins"] else "did not win"
    return f"the canary of {_challenger(p)} {end}{because(p['reason'])}"


def _champion(p: Payload) -> str:
    return f"{word(p['model'])} {word(p['challenger'])} took the place of {word(p['champion'])} as champion"


def _ab_test(p: Payload) -> str:
    plan = p["plan"]
    versions = f"{word(plan['a'])} and {word(plan['b'])} of {word(plan['deployment'])}"
    needs = count(p["needed"]["watched"], "prediction")
    return f"{word(p['author'])} planned the A/B test {word(p['name'])} of {versions}, with about {needs}"


def _ab_started(p: Payload) -> str:
    return f"{word(p['by'])} started the A/B test {word(p['name'])}, {figure(100 * p['share_b'], 0)} % of it b"


def _ab_looked(p: Payload) -> str:
    found = p["figures"]
    seen = count(found["events_a"] + found["events_b"], "prediction")
    return (
        f"the A/B test {word(p['name'])} saw {seen}, difference {word(found['estimate'])}, p {word(found['p_value'])}"
    )


def _ab_looks(h: Happened) -> str:
    return h.told if h.count == 1 else f"{h.told}, after {count(h.count, 'look')}"


def _ab_stopped(p: Payload) -> str:
    return f"{word(p['by'])} stopped the A/B test {word(p['name'])}{because(p['reason'])}"


def _user(p: Payload) -> str:
    return f"{word(p['by'])} added the user {word(p['name'])} ({listed(word(r) for r in p['roles'])})"


def _described(p: Payload) -> str:
    """What it says is sealed: only that it was said is told."""
    given = [name for field, name in (("full_name", "full name"), ("email", "e-mail address")) if p[field]]
    what = f"set the {listed(given)}" if given else "removed the full name and the e-mail address"
    return f"{word(p['by'])} {what} of the user {word(p['name'])}"


def _erased(p: Payload) -> str:
    return f"{word(p['by'])} erased the personal data of the user {word(p['name'])}{because(p['reason'])}"


def _subject(p: Payload) -> str:
    return f"{word(p['by'])} erased what predictions kept of the subject {word(p['subject'])}{because(p['reason'])}"


def _token(p: Payload) -> str:
    return f"{word(p['by'])} issued a token for {word(p['user'])}, good until {day(p['expires_at'])}"


def _tokens(h: Happened) -> str:
    return h.told if h.count == 1 else f"{count(h.count, 'token')} were issued for {word(h.last['user'])}"


SENTENCES: Mapping[str, Sentence] = {
    CREATED: Sentence(_deployed),
    TRAFFIC: Sentence(_traffic, _traffics, with_past=True),
    "serving.DeploymentStopped": Sentence(_stopped),
    "serving.ScalingSet": Sentence(_scaling),
    "serving.CachingSet": Sentence(_caching),
    "serving.ResilienceSet": Sentence(_resilience),
    "serving.BreakerOpened": Sentence(_opened),
    "serving.BreakerClosed": Sentence(_closed),
    "serving.ReplicasChanged": Sentence(_replicas, _replicas_of_many),
    "monitoring.MonitorCreated": Sentence(_monitor),
    "monitoring.WindowEvaluated": Sentence(_window, _windows),
    "monitoring.ReferenceMoved": Sentence(_reference),
    "monitoring.AlertRaised": Sentence(_alert),
    "monitoring.AlertDelivered": Sentence(_delivered),
    "monitoring.PolicyCreated": Sentence(_policy),
    "monitoring.RetrainingStarted": Sentence(_retraining),
    "monitoring.ChallengerTrained": Sentence(
        lambda p: f"{_challenger(p)} trained the challenger {word(p['challenger'])}"
    ),
    "monitoring.ChallengerEvaluated": Sentence(lambda p: f"the challenger of {_challenger(p)} {_compared(p)}"),
    "monitoring.CanaryStarted": Sentence(_canary),
    "monitoring.CanaryLooked": Sentence(_canary_looked, _ab_looks),
    "monitoring.CanaryDecided": Sentence(_canary_decided),
    "monitoring.CanaryEvaluated": Sentence(lambda p: f"the canary of {_challenger(p)} {_compared(p)}"),
    "monitoring.ChallengerPromoted": Sentence(_champion),
    "monitoring.RetrainingRefused": Sentence(
        lambda p: f"the challenger of {_challenger(p)} was refused{because(p['reason'])}"
    ),
    "monitoring.RetrainingFailed": Sentence(lambda p: f"{_challenger(p)} failed{because(p['reason'])}"),
    "monitoring.AbTestCreated": Sentence(_ab_test),
    "monitoring.AbTestStarted": Sentence(_ab_started),
    "monitoring.AbTestLooked": Sentence(_ab_looked, _ab_looks),
    "monitoring.AbTestDecided": Sentence(lambda p: f"the A/B test {word(p['name'])} was decided{because(p['reason'])}"),
    "monitoring.AbTestStopped": Sentence(_ab_stopped),
    "gateway.UserCreated": Sentence(_user),
    "gateway.UserDescribed": Sentence(_described),
    "gateway.UserErased": Sentence(_erased),
    "gateway.SubjectErased": Sentence(_subject),
    "gateway.TokenIssued": Sentence(_token, _tokens),
}
