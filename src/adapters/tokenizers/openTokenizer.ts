import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CallerError } from '../../domain/errors.ts';
import { TOKENIZER_FILES } from '../../lm/tokenizerFiles.ts';
import type { Tokenizer } from '../../ports/Tokenizer.ts';
import { gpt2TokenizerJson } from './gpt2Files.ts';
import { HubTokenizer } from './hubTokenizer.ts';
import { parseObject, readIfThere } from './readIfThere.ts';
import type { TokenizerJson } from './tokenizerJson.ts';

/**
 * Opens the tokenizer of a model folder: tokenizer.json (with tokenizer_config.json beside it where there is one), or GPT-2's
 * vocab.json and merges.txt. Throws NOT_FOUND when the folder has neither, BAD_MODEL_FILE for a file that is damaged.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  for (const names of TOKENIZER_FILES) {
    const files = await Promise.all(names.map((name) => readIfThere(join(folder, name))));
    if (!files.every((file) => file !== undefined)) continue;
    const hash = createHash('sha256');
    for (const file of files) hash.update(file);
    const json =
      files.length === 1
        ? (parseObject(files[0], join(folder, names[0])) as TokenizerJson)
        : gpt2TokenizerJson(parseObject(files[0], join(folder, names[0])) as Record<string, number>, files[1].toString('utf8'));
    const configPath = join(folder, 'tokenizer_config.json');
    const config = await readIfThere(configPath);
    return new HubTokenizer(hash.digest('hex'), json, config === undefined ? {} : parseObject(config, configPath), folder);
  }
  throw new CallerError('NOT_FOUND', `${folder}: expected tokenizer.json, or vocab.json with merges.txt, found neither`);
}
