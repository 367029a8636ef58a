// The part of the time axis that is seen: [from, to] in seconds, or null for all of it, 0 to `total`.

const LEAST = 0.5; // seconds

// Enlarged by `factor` (below 1: more is seen), where `at` stays in its place.
export function zoomed(range, total, factor, at) {
  const [from, to] = range ?? [0, total];
  const span = Math.max((to - from) / factor, Math.min(LEAST, total));
  const share = (at - from) / (to - from);
  return fitted(at - share * span, span, total);
}

// Moved by `seconds`.
export function moved(range, total, seconds) {
  return range && fitted(range[0] + seconds, range[1] - range[0], total);
}

// Such that the times `a` and `b` lie at the shares `atA` and `atB` of the axis, as two fingers hold them.
export function pinched(total, [a, b], [atA, atB]) {
  if (Math.abs(atB - atA) < 0.02 || (b - a) / (atB - atA) <= 0) return undefined;
  const span = Math.max((b - a) / (atB - atA), Math.min(LEAST, total));
  return fitted((a + b) / 2 - ((atA + atB) / 2) * span, span, total);
}

function fitted(from, span, total) {
  if (span >= total) return null;
  const start = Math.min(Math.max(from, 0), total - span);
  return [start, start + span];
}
