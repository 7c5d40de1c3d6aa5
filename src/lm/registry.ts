import { CallerError } from '../domain/errors.ts';
import type { Architecture, LanguageModel } from './architecture.ts';
import { ConfigReader } from './configReader.ts';
import { gpt2 } from './gpt2.ts';
import { gptNeox } from './gptNeox.ts';
import { llama } from './llama.ts';

const ARCHITECTURES: readonly Architecture[] = [gptNeox, gpt2, llama];

/** Reads a parsed config.json. Throws UNSUPPORTED_ARCHITECTURE, UNSUPPORTED or BAD_MODEL_FILE. */
export function readLanguageModel(config: unknown): LanguageModel {
  const reader = new ConfigReader(config);
  const modelType = reader.text('model_type');
  const found = ARCHITECTURES.find((architecture) => architecture.modelType === modelType);
  if (found === undefined) {
    throw new CallerError(
      'UNSUPPORTED_ARCHITECTURE',
      `config.json: model_type is "${modelType}", expected one of ${ARCHITECTURES.map((a) => a.modelType).join(', ')}`,
    );
  }
  return found.read(reader);
}
