import { CallerError } from '../../domain/errors.ts';
import type { ModelInfo } from '../../domain/model.ts';
import type { Tokenizer } from '../../ports/Tokenizer.ts';

/**
 * Throws TOKENIZER_MISMATCH when the tokenizer can emit ids the model has no row for. More rows than tokens is fine: models pad
 * their vocabulary.
 */
export function checkTokenizer(tokenizer: Tokenizer, model: Pick<ModelInfo, 'name' | 'vocabSize'>): void {
  if (tokenizer.size > model.vocabSize) {
    throw new CallerError(
      'TOKENIZER_MISMATCH',
      `the tokenizer has ids up to ${tokenizer.size - 1}, model ${model.name} has a vocabulary of ${model.vocabSize}: use the tokenizer.json the model came with`,
    );
  }
}
