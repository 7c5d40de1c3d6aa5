import { CallerError } from '../domain/errors.ts';
import type { SteerInput, SteerRun } from '../domain/steer.ts';
import { OWNER, type Viewer } from '../domain/viewer.ts';
import type { Annotations } from '../ports/Annotations.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import type { FeatureSearch } from '../ports/FeatureSearch.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import { annotationService, type AnnotationService } from './annotations.ts';
import { liveActivations, type ActivationsArgs, type TextActivations } from './activations.ts';
import { decoderCosine, type Measured } from './compareFeatures.ts';
import { dictionariesByName, selectDictionaries, type DictionarySelection } from './dictionaries.ts';
import { featurePage, type FeatureConditions, type FeaturePageArgs, type FeatureView } from './features.ts';
import type { ExplainedFeature, ExplainFeatureInput, ExplainService } from './explainFeature.ts';
import { Gate } from './gate.ts';
import { LIMITS } from './limits.ts';
import type { Page } from './page.ts';
import type { PatchService } from './patch.ts';
import { createPatchRequests, type PatchRequests } from './patchRequests.ts';
import { searchFeatures, type SearchArgs, type SearchResultPage } from './search.ts';
import { searchFacets, type FacetCounts } from './searchFacets.ts';
import type { SteerService } from './steer.ts';
import { patchRequestsFor, requireModel, requireScope } from './viewerCatalog.ts';
import { visibleReader, visibleSearch } from './visibleReader.ts';

export interface CatalogParts {
  readonly reader: CatalogReader;
  readonly search: FeatureSearch;
  readonly live: LiveModels;
  readonly patches: PatchService;
  readonly steers: SteerService;
  /** Absent on a server that explains nothing. */
  readonly explanations?: ExplainService;
  /** What people say of features; absent on a server that keeps none of it. */
  readonly annotations?: Annotations;
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
  /** Counts over all matches of the search that `page` is of. */
  searchFacets(args: SearchArgs, page: Pick<SearchResultPage, 'matched' | 'engine'>): Promise<FacetCounts>;
  /** Of two features the viewer sees: reads weights, so it waits its turn with what runs models. */
  decoderCosine(a: FeatureView, b: FeatureView): Promise<Measured>;
  activations(args: ActivationsArgs): Promise<TextActivations>;
  steer(input: SteerInput): Promise<SteerRun>;
  /** Live runs of models under way now, and waiting for their turn. */
  liveRuns(): { readonly running: number; readonly waiting: number };
  /** How features can be explained and judged on demand here, the default first; empty where they cannot. */
  readonly explainMethods: readonly string[];
  readonly explainScorers: readonly string[];
  explainFeature(input: ExplainFeatureInput): Promise<ExplainedFeature>;
  readonly annotations: AnnotationService;
  /** The same catalog as the viewer may see and use it. `hidden`: models that do not exist for them. */
  for(viewer: Viewer, hidden: ReadonlySet<string>): Catalog;
}

export function createCatalog(parts: CatalogParts): Catalog {
  const { live, steers, explanations, version } = parts;
  // One for everything that runs a model now: whoever comes, the machine has the same number of runs to bear.
  const gate = new Gate(LIMITS.liveRunning, LIMITS.liveWaiting);
  const requests = createPatchRequests(parts.patches, gate);
  const catalogFor = (viewer: Viewer, hidden: ReadonlySet<string>): Catalog => {
    const reader = visibleReader(parts.reader, hidden);
    const search = visibleSearch(parts.search, reader, hidden);
    const mayRun = async (model: string): Promise<void> => {
      requireScope(viewer, 'patch', 'running a model');
      // First of all, and of every model: what else is wrong with the request must not tell a hidden one from one that is not there.
      if (viewer !== OWNER) await requireModel(reader, model);
    };
    return {
      version,
      reader,
      features: async (selection, conditions, args) => featurePage(reader, await selectDictionaries(reader, selection), conditions, args),
      search: (args) => searchFeatures(reader, search, args),
      searchFacets: (args, page) => searchFacets(reader, search, args, page),
      decoderCosine: (a, b) => gate.run(() => decoderCosine(live, a, b)),
      async activations(args) {
        await mayRun(args.model);
        return gate.run(() => liveActivations(reader, live, args));
      },
      ...(viewer === OWNER ? requests : patchRequestsFor(requests, viewer, reader)),
      async steer(input) {
        await mayRun(input.model);
        return steers.steer(input, gate);
      },
      liveRuns: () => gate.state,
      explainMethods: explanations?.methods ?? [],
      explainScorers: explanations?.scorers ?? [],
      async explainFeature(input) {
        requireScope(viewer, 'patch', 'explaining a feature');
        if (explanations === undefined) throw new CallerError('UNSUPPORTED', 'this server explains nothing on demand');
        const { model, dictionary: name } = input.feature;
        if (viewer !== OWNER && (await dictionariesByName(reader, [{ model, name }]))[0] === null) {
          throw new CallerError('NOT_FOUND', `the catalog has no dictionary ${model}/${name}`, { field: ['feature'] });
        }
        return explanations.explain(input);
      },
      annotations: annotationService(parts.annotations, reader, viewer, hidden),
      for: catalogFor,
    };
  };
  return catalogFor(OWNER, new Set());
}
