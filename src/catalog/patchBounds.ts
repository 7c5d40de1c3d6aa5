import { CallerError } from '../domain/errors.ts';
import type { PatchInput } from '../domain/patch.ts';
import { LIMITS } from './limits.ts';

/** A read position costs as much as this many features on a token: softmaxes over the vocabulary beside one dot product. */
const READ_WORK = 1024;
/** Running the network on a token, likewise. */
const TOKEN_WORK = 64;

export interface PatchSize {
  /** Tokens of the base prompt. */
  readonly tokens: number;
  /** Positions read for the answer. */
  readonly read: number;
}

type Asked = Pick<PatchInput, 'features' | 'watch' | 'loss' | 'topTokens' | 'tokens' | 'logitDifference' | 'target'>;

/**
 * What a patch costs before it runs, in units of one feature read on one token (a dot product of the model's width):
 *
 *     runs · tokens · (64 + edited features + watched features) + 1024 · runs · positions
 *
 * runs = 2 (base and patched), 3 with a target; positions = those read, all of them where losses are asked for.
 */
export function patchWork({ features, watch, loss, target }: Asked, { tokens, read }: PatchSize): number {
  const runs = target === null ? 2 : 3;
  return runs * tokens * (TOKEN_WORK + features.length + (watch?.length ?? 0)) + READ_WORK * runs * (loss === true ? tokens : read);
}

/** Numbers in a patch's result: 2 per feature and token, up to 6 per token reported at a position, 3 per pair. */
export function patchNumbers({ features, watch, topTokens, tokens: named, logitDifference }: Asked, { tokens, read }: PatchSize): number {
  return 2 * tokens * (1 + features.length + (watch?.length ?? 0)) + read * (4 + 6 * (topTokens + (named?.length ?? 0)) + 3 * (logitDifference?.length ?? 0));
}

/** Throws LIMIT_EXCEEDED where one patch is more than a request may ask for. */
export function checkPatchSize(input: Asked, size: PatchSize): void {
  const work = patchWork(input, size);
  const what = `${size.tokens} tokens, ${input.features.length} edited and ${input.watch?.length ?? 0} watched features, ${size.read} positions read${input.loss === true ? ', losses' : ''}`;
  if (work > LIMITS.patchWork) {
    throw new CallerError('LIMIT_EXCEEDED', `this patch is ${work} units of work (${what}): at most ${LIMITS.patchWork} run at once; edit fewer features, read fewer positions, or split it up`);
  }
  const numbers = patchNumbers(input, size);
  if (numbers > LIMITS.patchNumbers) {
    throw new CallerError('LIMIT_EXCEEDED', `this patch would answer ${numbers} numbers (${what}): at most ${LIMITS.patchNumbers}; edit or watch fewer features, read fewer positions, or lower topTokens`);
  }
}
