import type { DictionaryWeights } from '../domain/dictionary.ts';
import type { SubjectModel } from './SubjectModel.ts';
import type { Tokenizer } from './Tokenizer.ts';

/** Models the server can run now, opened on first use and kept. */
export interface LiveModels {
  /** Throws MODEL_UNAVAILABLE when the catalog knows the model but its files are not on this host. */
  open(modelName: string): Promise<{ readonly model: SubjectModel; readonly tokenizer: Tokenizer }>;
  /** Weights of one dictionary, cached least-recently-used. */
  dictionary(modelName: string, dictionaryName: string): Promise<DictionaryWeights>;
  close(): Promise<void>;
}
