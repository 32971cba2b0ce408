// Where a deployment's replicas run and how many may be there, in words.
export function replicas({ replicas: seen }) {
  return seen ? `${seen.ready ?? 0} of ${seen.wanted ?? 0} ready, in ${seen.backend}` : "";
}

export function scaling(set) {
  if (!set) return "";
  const targets = [set.target_concurrency ? `${set.target_concurrency} requests under way in each` : "", set.target_latency_ms ? `answers within ${set.target_latency_ms} ms` : "", set.scale_to_zero ? "none when idle" : "", set.gpus ? `${set.gpus} GPUs for each` : ""];
  return [`${set.min_replicas} to ${set.max_replicas} replicas`, ...targets.filter(Boolean)].join(", ");
}
