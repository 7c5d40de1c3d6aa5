import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { ChatTemplate } from './ChatTemplate.ts';
import type { Generator } from './Generator.ts';
import type { SubjectModel } from './SubjectModel.ts';
import type { Tokenizer } from './Tokenizer.ts';

/** Models the server can run now, opened on first use and kept. */
export interface LiveModels {
  /** Throws MODEL_UNAVAILABLE when the catalog knows the model but its files are not on this host. */
  open(modelName: string): Promise<{ readonly model: SubjectModel; readonly tokenizer: Tokenizer }>;
  /** The same model as one that writes text. Throws as `open` does. */
  generator(modelName: string): Promise<Generator>;
  /** How the model's conversations are written; throws UNSUPPORTED when it has none, else as `open` does. */
  chatTemplate(modelName: string): Promise<ChatTemplate>;
  /** Weights of one dictionary, cached least-recently-used. */
  dictionary(modelName: string, dictionaryName: string): Promise<DictionaryWeights>;
  close(): Promise<void>;
}
