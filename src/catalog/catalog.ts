import { CallerError } from '../domain/errors.ts';
import type { SteerInput, SteerRun } from '../domain/steer.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import type { FeatureSearch } from '../ports/FeatureSearch.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import { liveActivations, type ActivationsArgs, type TextActivations } from './activations.ts';
import { selectDictionaries, type DictionarySelection } from './dictionaries.ts';
import { featurePage, type FeatureConditions, type FeaturePageArgs, type FeatureView } from './features.ts';
import type { ExplainedFeature, ExplainFeatureInput, ExplainService } from './explainFeature.ts';
import { Gate } from './gate.ts';
import { LIMITS } from './limits.ts';
import type { Page } from './page.ts';
import type { PatchService } from './patch.ts';
import { createPatchRequests, type PatchRequests } from './patchRequests.ts';
import { searchFeatures, type SearchArgs, type SearchResultPage } from './search.ts';
import type { SteerService } from './steer.ts';

export interface CatalogParts {
  readonly reader: CatalogReader;
  readonly search: FeatureSearch;
  readonly live: LiveModels;
  readonly patches: PatchService;
  readonly steers: SteerService;
  /** Absent on a server that explains nothing. */
  readonly explanations?: ExplainService;
  /** Version of the program. */
  readonly version: string;
}

/** What the API can do. Limits and access are decided here, below GraphQL, so that every way in meets the same rules. */
export interface Catalog extends PatchRequests {
  readonly version: string;
  /** Batched reads, for loaders. */
  readonly reader: CatalogReader;
  features(selection: DictionarySelection, conditions: FeatureConditions, args: FeaturePageArgs): Promise<Page<FeatureView>>;
  search(args: SearchArgs): Promise<SearchResultPage>;
  activations(args: ActivationsArgs): Promise<TextActivations>;
  steer(input: SteerInput): Promise<SteerRun>;
  /** Live runs of models under way now, and waiting for their turn. */
  liveRuns(): { readonly running: number; readonly waiting: number };
  /** How features can be explained and judged on demand here, the default first; empty where they cannot. */
  readonly explainMethods: readonly string[];
  readonly explainScorers: readonly string[];
  explainFeature(input: ExplainFeatureInput): Promise<ExplainedFeature>;
}

export function createCatalog({ reader, search, live, patches, steers, explanations, version }: CatalogParts): Catalog {
  // One for everything that runs a model now: whoever comes, the machine has the same number of runs to bear.
  const gate = new Gate(LIMITS.liveRunning, LIMITS.liveWaiting);
  return {
    version,
    reader,
    features: async (selection, conditions, args) =>
      featurePage(reader, await selectDictionaries(reader, selection), conditions, args),
    search: (args) => searchFeatures(reader, search, args),
    activations: (args) => gate.run(() => liveActivations(reader, live, args)),
    ...createPatchRequests(patches, gate),
    steer: (input) => steers.steer(input, gate),
    liveRuns: () => gate.state,
    explainMethods: explanations?.methods ?? [],
    explainScorers: explanations?.scorers ?? [],
    async explainFeature(input) {
      if (explanations === undefined) throw new CallerError('UNSUPPORTED', 'this server explains nothing on demand');
      return explanations.explain(input);
    },
  };
}
