import type { Bootstrap } from './bootstrap.ts';
import type { Calibration } from './calibration.ts';
import type { SimulatedFragment } from './correlation.ts';
import { errorSums, explainedShare, weightedShare } from './explainedShare.ts';
import type { ShareKind } from './explainedShare.ts';
import { linearCalibration } from './linearCalibration.ts';
import { percentileCalibration } from './percentileCalibration.ts';
import { correlationScore, countTokens, emptyStratum } from './simulationScores.ts';
import type { Measured } from './simulationScores.ts';

/**
 * Scores by value over top and random fragments together: as simulated (`rsquared`, `absdev`), after linear calibration
 * (`linear-…`) and after percentile matching (`percentile-…`, which changes the correlation too). Calibrations are fitted on
 * `calibration` only, which shares no token with top and random. Names begin with `instrument`.
 */
export function calibratedScores(
  instrument: string,
  top: readonly SimulatedFragment[],
  random: readonly SimulatedFragment[],
  calibration: readonly SimulatedFragment[],
  bootstrap: Bootstrap,
): readonly Measured[] {
  const strata = [top, random];
  const linear = calibrate(strata, linearCalibration(calibration));
  const percentile = calibrate(strata, percentileCalibration(calibration));
  return [
    shareScore(`${instrument}-rsquared`, strata, 'rsquared', bootstrap),
    shareScore(`${instrument}-absdev`, strata, 'absdev', bootstrap),
    ...either(linear, [`${instrument}-linear-rsquared`, `${instrument}-linear-absdev`], countTokens(strata), ([rsquared, absdev], after) => [
      shareScore(rsquared, after, 'rsquared', bootstrap),
      shareScore(absdev, after, 'absdev', bootstrap),
    ]),
    ...either(percentile, [`${instrument}-percentile-top-random`, `${instrument}-percentile-rsquared`, `${instrument}-percentile-absdev`], countTokens(strata), ([correlation, rsquared, absdev], after) => [
      correlationScore(correlation, after, bootstrap),
      shareScore(rsquared, after, 'rsquared', bootstrap),
      shareScore(absdev, after, 'absdev', bootstrap),
    ]),
  ];
}

type Strata = readonly (readonly SimulatedFragment[])[];

function calibrate(strata: Strata, calibration: Calibration): Strata | { readonly reason: string } {
  if ('reason' in calibration) return calibration;
  return strata.map((stratum) => stratum.map(({ truth, simulated }) => ({ truth, simulated: calibration.apply(simulated) })));
}

/** What `score` gives, or every name undefined for the calibration's reason. */
function either(calibrated: Strata | { readonly reason: string }, names: readonly string[], n: number, score: (names: readonly string[], strata: Strata) => readonly Measured[]): readonly Measured[] {
  if ('reason' in calibrated) return names.map((scorer) => ({ scorer, value: null, undefinedReason: calibrated.reason, n, low: null, high: null }));
  return score(names, calibrated);
}

function shareScore(scorer: string, strata: Strata, kind: ShareKind, bootstrap: Bootstrap): Measured {
  const n = countTokens(strata);
  const empty = emptyStratum(strata);
  const share = empty === null ? explainedShare(strata.flat(), kind) : { value: null, reason: empty };
  if (share.value === null) return { scorer, value: null, undefinedReason: share.reason, n, low: null, high: null };
  const sums = strata.flat().map(errorSums);
  const interval = bootstrap.intervalOf(strata.map((s) => s.length), (times, from) => weightedShare(sums, kind, times, from));
  return { scorer, value: share.value, undefinedReason: null, n, low: interval?.low ?? null, high: interval?.high ?? null };
}
