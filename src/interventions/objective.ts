import { logSoftmax } from '../causal/divergence.ts';
import { usualName } from '../causal/hookOrder.ts';
import type { GradientModel, Objective } from '../ports/GradientModel.ts';
import type { ForwardRequest } from '../ports/SubjectModel.ts';
import type { AttributedObjective } from './attribution.ts';

/**
 * The objective as a linear function of a run's values, each prompt's own (rows do not see each other): a feature's direction
 * at its last position, a token's logit; of a log-probability its derivative e_id − p, for which the run's predictions p are
 * needed: one more run forward.
 *
 * @param members the prompts that are the rows of the run.
 */
export async function objectiveAt(model: GradientModel, objective: AttributedObjective, members: readonly number[], run: Pick<ForwardRequest, 'batch' | 'from' | 'edits'>): Promise<Objective> {
  if (objective.kind === 'feature') {
    const { config, encoder } = objective.weights;
    const { cols, lengths } = run.batch;
    const cotangent = new Float32Array(members.length * cols * config.dIn);
    const direction = encoder.subarray(objective.index * config.dIn, (objective.index + 1) * config.dIn).map((value) => value / config.inputScale);
    for (const b of members.keys()) cotangent.set(direction, (b * cols + lengths[b] - 1) * config.dIn);
    return { at: usualName(config.hookPoint), cotangent };
  }
  const { vocabSize } = model.info;
  const cotangent = new Float32Array(members.length * vocabSize);
  if (objective.measure === 'logProb') {
    const { logits } = await model.forward({ ...run, taps: [], logits: 'last' });
    for (const b of members.keys()) {
      const logProbs = logSoftmax(logits!, b * vocabSize, vocabSize);
      for (let v = 0; v < vocabSize; v++) cotangent[b * vocabSize + v] = -Math.exp(logProbs[v]);
    }
  }
  for (const [b, prompt] of members.entries()) cotangent[b * vocabSize + objective.ids[prompt]] += 1;
  return { at: 'logits', cotangent };
}
