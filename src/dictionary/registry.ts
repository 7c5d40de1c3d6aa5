import type { DictionaryArchitecture } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { TrainableArchitecture } from './architecture.ts';
import { batchtopk } from './batchtopk.ts';
import { gated } from './gated.ts';
import { jumprelu } from './jumprelu.ts';
import { matryoshka } from './matryoshka.ts';
import { tied } from './tied.ts';
import { topk } from './topk.ts';
import { untied } from './untied.ts';

/** Every architecture that can be trained: a new one is a file and a line here. */
export const TRAINABLE: readonly TrainableArchitecture[] = [tied, untied, topk, batchtopk, jumprelu, gated, matryoshka];

/** Throws UNSUPPORTED when the architecture cannot be trained. */
export function trainableArchitecture(name: DictionaryArchitecture): TrainableArchitecture {
  const found = TRAINABLE.find((architecture) => architecture.name === name);
  if (found === undefined) {
    throw new CallerError('UNSUPPORTED', `architecture "${name}" cannot be trained; expected one of ${TRAINABLE.map((known) => known.name).join(', ')}`);
  }
  return found;
}
