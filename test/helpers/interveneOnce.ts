import { intervene } from '../../src/interventions/intervene.ts';
import type { FeatureIntervention, InterventionResult, Measures } from '../../src/interventions/intervention.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';

export interface OneIntervention {
  readonly base: Int32Array;
  readonly target: Int32Array | null;
  readonly features: readonly FeatureIntervention[];
  readonly read: readonly number[];
  readonly error?: 'keep' | 'remove';
  readonly measures?: Measures;
}

/** One intervention by itself, with logits at the positions read, activations and magnitude. */
export async function interveneOnce(model: SubjectModel, { base, target, features, read, error = 'keep', measures }: OneIntervention): Promise<InterventionResult & { logits: NonNullable<InterventionResult['logits']>; magnitude: number }> {
  const [result] = await intervene(model, {
    prompts: target === null ? [base] : [base, target],
    interventions: [{ prompt: 0, target: target === null ? null : 1, features, error, measures: { positions: read, logits: true, activations: true, editMagnitude: true, ...measures } }],
  });
  return { ...result, logits: result.logits!, magnitude: result.editMagnitude!.mean };
}
