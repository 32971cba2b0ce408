// An exponential moving average, freed from its bias to the beginning, as TensorBoard draws it.
// `weight` from 0 (as it is) to below 1; points that are no figure are left out of it and stay gaps.
export function smoothed(points, weight) {
  if (!weight) return points;
  let last = 0, counted = 0;
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y];
    last = last * weight + (1 - weight) * y;
    counted += 1;
    return [x, last / (1 - weight ** counted)];
  });
}
