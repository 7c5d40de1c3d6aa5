import type { TrainableArchitecture } from '../../../domain/dictionary.ts';
import { CallerError } from '../../../domain/errors.ts';
import type { TfjsLoss } from '../loss.ts';
import { batchtopk } from './batchtopk.ts';
import { gated } from './gated.ts';
import { jumprelu } from './jumprelu.ts';
import { matryoshka } from './matryoshka.ts';
import { tied } from './tied.ts';
import { topk } from './topk.ts';
import { untied } from './untied.ts';

/** Every architecture this engine can train: a new one is a file and a line here. */
export const TFJS_LOSSES: readonly TfjsLoss[] = [tied, untied, topk, batchtopk, jumprelu, gated, matryoshka];

/** Throws UNSUPPORTED when the architecture has no loss here. */
export function tfjsLoss(name: TrainableArchitecture): TfjsLoss {
  const found = TFJS_LOSSES.find((loss) => loss.name === name);
  if (found === undefined) {
    throw new CallerError('UNSUPPORTED', `architecture "${name}" cannot be trained with TensorFlow.js; expected one of ${TFJS_LOSSES.map((known) => known.name).join(', ')}. Use the onnxruntime engine`);
  }
  return found;
}
