/**
 * A map from simulated to true activations, fitted on text of its own, or why there is none. Bills et al. 2023 fit it on the
 * calibration split: a judge's numbers have no unit, and only after calibration can they be right by value.
 */
export type Calibration = { readonly apply: (simulated: ArrayLike<number>) => Float64Array } | { readonly reason: string };
