import type { Exemplar, FragmentRef } from '../domain/feature.ts';

/** Which fragments an explanation is made from, and which it is judged on. */
export interface Split {
  /** top[0::4]: what the explainer reads; 5 of 20. */
  readonly explain: readonly Exemplar[];
  /** top[2::4] without those that overlap `explain`; 5 of 20. */
  readonly scoredTop: readonly Exemplar[];
  /** The first 5 of random[1::3], then of the other random ones, without those that overlap `explain`, `scoredTop` or an earlier one. */
  readonly scoredRandom: readonly Exemplar[];
  /** top[1::4] and random[0::3] without those that overlap any of the above: what a calibration may be fitted on. */
  readonly calibration: readonly Exemplar[];
  /** Fragments of every kind where the feature is active, none overlapping `explain` or another: for detection. Strongest first. */
  readonly active: readonly Exemplar[];
}

export const SCORED_RANDOM = 5;

/**
 * Bills et al. 2023 interleaved splits as Cunningham et al. 2023 used them (Appendix A): ranks 0, 4, 8 … explain, ranks
 * 2, 6, 10 … and five random fragments are scored. One rule is added: a scored fragment that shares a token of the corpus with
 * an explanation fragment is left out, so that no score rests on text the explanation was made from. Where that leaves
 * random[1::3] short of five, the next free random fragments fill it.
 *
 * Fragments without variation (all activations equal) are not used, as in the paper.
 */
export function splitFragments(exemplars: readonly Exemplar[]): Split {
  const top = variedFragments(exemplars, 'top');
  const explain = top.filter((_, i) => i % 4 === 0);
  const scoredTop = withoutOverlaps(top.filter((_, i) => i % 4 === 2), explain);
  const random = variedFragments(exemplars, 'random');
  // Sliced before overlaps are left out, so that one overlap moves one fragment and not all that follow.
  const preferred = [...random.filter((_, i) => i % 3 === 1), ...random.filter((_, i) => i % 3 !== 1)];
  const scoredRandom = withoutOverlaps(preferred, [...explain, ...scoredTop]).slice(0, SCORED_RANDOM);
  const calibration = withoutOverlaps(
    [...top.filter((_, i) => i % 4 === 1), ...random.filter((_, i) => i % 3 === 0)],
    [...explain, ...scoredTop, ...scoredRandom],
  );
  const strongest = exemplars.filter((e) => e.maxActivation > 0).sort((a, b) => b.maxActivation - a.maxActivation || a.row - b.row || a.start - b.start);
  return { explain, scoredTop, scoredRandom, calibration, active: withoutOverlaps(strongest, explain) };
}

/** Where a fragment or window lies. */
export function refOf({ row, start, ids }: Pick<Exemplar, 'row' | 'start' | 'ids'>): FragmentRef {
  return { row, start, length: ids.length };
}

/** Fragments of one kind, by rank, whose activations are not all equal. */
export function variedFragments(exemplars: readonly Exemplar[], kind: Exemplar['kind']): readonly Exemplar[] {
  return exemplars
    .filter((e) => e.kind === kind && e.activations.some((a) => a !== e.activations[0]))
    .sort((a, b) => a.rank - b.rank);
}

/** True when both places hold at least one common token of the token file. */
export function overlaps(a: FragmentRef, b: FragmentRef): boolean {
  return a.row === b.row && a.start < b.start + b.length && b.start < a.start + a.length;
}

/** Those of `candidates` that overlap neither `used` nor an earlier kept candidate, in order. */
function withoutOverlaps(candidates: readonly Exemplar[], used: readonly Exemplar[]): readonly Exemplar[] {
  const taken = used.map(refOf);
  return candidates.filter((candidate) => {
    const ref = refOf(candidate);
    if (taken.some((other) => overlaps(other, ref))) return false;
    taken.push(ref);
    return true;
  });
}
