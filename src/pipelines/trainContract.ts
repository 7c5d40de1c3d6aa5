import type { DictionaryConfig, DictionaryQuality } from '../domain/dictionary.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { TrainingEngine } from '../ports/TrainingEngine.ts';
import type { TrainReport } from '../ports/TrainReport.ts';
import type { ActivationSource } from './harvest.ts';

export interface TrainPorts {
  /** Must offer the hook points trained at and those that transcoders predict (hookPointsRead). */
  readonly source: ActivationSource;
  readonly engine: TrainingEngine;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  readonly report?: TrainReport;
}

export interface TrainInput {
  /** Catalog name of the model. */
  readonly model: string;
  /** Where to train dictionaries; all of the source's hook points when left out. */
  readonly hookPoints?: readonly HookPoint[];
  /** Shape of the token file. */
  readonly rows: number;
  readonly cols: number;
  /** Key of this run, written into the dictionaries. */
  readonly run: string;
  /** Folder of this run: checkpoints while it runs, metrics.jsonl, report.html and one folder per dictionary. */
  readonly dir: string;
}

export interface TrainedDictionary {
  readonly config: DictionaryConfig;
  readonly quality: DictionaryQuality;
  /** Folder below the run's. */
  readonly folder: string;
}

export interface TrainResult {
  readonly dictionaries: readonly TrainedDictionary[];
  /** Dictionaries of a sweep that diverged; never all. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
  /** Vectors each dictionary was trained on, and those of them trained by this call. */
  readonly vectors: number;
  readonly vectorsNow: number;
  readonly seconds: number;
}
