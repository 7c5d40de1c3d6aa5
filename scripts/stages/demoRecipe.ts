import { join, resolve } from 'node:path';
import type { LocatedModel } from '../workspace.ts';
import { demoText, type TextSource } from './textSources.ts';
import type { TokensOptions } from './tokens.ts';

/** What the demo is built from, so that other commands find its finished stages. */
export const DEMO_MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
export const DEMO_TOKENS: TokensOptions = { context: 128, maxTokens: 1_600_000 };
export const DEMO_TRAIN_SHARE = 0.8;
export const DEMO_SEED = 0;
/** Not the seed of the demo model's own training text: other generated sentences, another order. */
const TEXT_SEED = 1;

/** The text that the bundled model's dictionaries are made from; null for any other model. */
export function demoTextOf({ folder }: Pick<LocatedModel, 'folder'>): TextSource | null {
  return resolve(folder) === DEMO_MODEL ? demoText(TEXT_SEED) : null;
}
