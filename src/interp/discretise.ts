/** Highest level of the Bills et al. scale; levels are the integers 0 to 10. */
export const TOP_LEVEL = 10;

/**
 * Activations on the 0–10 scale an explainer is shown: min(10, floor(10·relu(a)/max)) (Bills et al. 2023, "normalise
 * activations"). `max` is the largest activation over the fragments shown together; max <= 0 gives zeros.
 */
export function discretise(activations: ArrayLike<number>, max: number): Uint8Array {
  const levels = new Uint8Array(activations.length);
  if (!(max > 0)) return levels;
  for (let i = 0; i < levels.length; i++) {
    levels[i] = Math.min(TOP_LEVEL, Math.floor((TOP_LEVEL * Math.max(0, activations[i])) / max));
  }
  return levels;
}
