import type { ExplainOutcome, FeatureAnalysis } from '../domain/feature.ts';
import { CallerError } from '../domain/errors.ts';
import type { Run } from '../domain/run.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { CatalogWriter, ExplanationsLoad } from '../ports/CatalogWriter.ts';

/** Where one dictionary's artefacts lie, and which runs made them. */
export interface LoadInput {
  /** Folder of cfg.json and weights. */
  readonly dictionaryDir: string;
  /** Written to the catalog as the weights' place: relative to CATALOG_HOME where it lies inside. */
  readonly location: string;
  /** Records of FeatureAnalysis. */
  readonly featuresPath: string;
  /** One entry per explainer that explained the dictionary. */
  readonly explanations: readonly ExplanationsInput[];
  readonly tokensAnalysed: number;
  readonly runs: { readonly train: Run; readonly analyse: Run };
}

/** What a run of the explain stage left of one dictionary. */
export interface ExplanationsInput {
  /** Explainer.name, as in the records. */
  readonly explainer: string;
  /** Records of ExplainOutcome. */
  readonly path: string;
  readonly run: Run;
}

export interface LoadCounts {
  readonly features: number;
  readonly exemplars: number;
  readonly explanations: number;
}

/** Puts one dictionary, as the stages left it on disk, into the catalog: streamed, in one transaction. */
export async function load(artefacts: Artefacts, writer: CatalogWriter, input: LoadInput): Promise<LoadCounts> {
  const { weights, quality } = await artefacts.readDictionary(input.dictionaryDir);
  const { config } = weights;
  if (config.run !== input.runs.train.key) {
    throw new CallerError(
      'STALE_OUTPUT',
      `dictionary ${config.model}/${config.name} was made by run ${config.run}, and the load names run ${input.runs.train.key}: run the later stages again`,
    );
  }
  const name = `${config.model}/${config.name}`;
  return writer.loadDictionary({
    config,
    quality,
    location: input.location,
    tokensAnalysed: input.tokensAnalysed,
    runs: input.runs,
    features: whole(artefacts.readRecords<FeatureAnalysis>(input.featuresPath), config.nFeatures, `${input.featuresPath} for dictionary ${name}`),
    explanations: input.explanations.map((one) => explanationsOf(artefacts, one)),
  });
}

/** One explainer's records as the catalog takes them. */
export function explanationsOf(artefacts: Artefacts, { explainer, path, run }: ExplanationsInput): ExplanationsLoad {
  return { explainer, run, outcomes: artefacts.readRecords<ExplainOutcome>(path) };
}

/** Passes the records on; throws at the end, inside the load's transaction, when there were not as many as expected. */
async function* whole<T>(records: AsyncIterable<T>, expected: number, what: string): AsyncGenerator<T> {
  let count = 0;
  for await (const record of records) {
    count++;
    yield record;
  }
  if (count !== expected) throw new CallerError('STALE_OUTPUT', `${what} has ${count} features: expected ${expected}; analyse it again`);
}
