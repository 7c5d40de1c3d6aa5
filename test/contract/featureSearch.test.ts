import { test } from 'node:test';
import type { ExplainOutcome } from '../../src/domain/feature.ts';
import { MODEL, TOKENS, makeConfig, makeExplanation, makeFeature, makeLoad, stream } from '../helpers/catalogData.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { CASES, DOCUMENTS } from './featureSearch.ts';
import type { SearchUnderTest } from './featureSearch.ts';

/** Each adapter: runs `work` on a search that knows DOCUMENTS. */
const ADAPTERS: Readonly<Record<string, (work: (subject: SearchUnderTest) => Promise<void>) => Promise<void>>> = {
  postgres: (work) =>
    withCatalog(async ({ reader, writer, search }) => {
      await writer.loadModel(MODEL, TOKENS);
      const names = ['0-a', '1-a'];
      for (const [dictionary, name] of names.entries()) {
        const documents = DOCUMENTS.filter((document) => document.dictionary === dictionary);
        const indices = [...new Set(documents.map((document) => document.index))];
        const explanations: ExplainOutcome[] = documents.map(({ index, description, score, explainer }) => makeExplanation(index, description, score, explainer));
        await writer.loadDictionary(
          makeLoad(name, 200, explanations, { config: makeConfig(name, 200), features: stream(indices.map((index) => makeFeature(index, { exemplars: [] }))) }),
        );
      }
      const ids = (await reader.dictionaries({})).map((dictionary) => dictionary.id);
      await work({ search, ids: [ids[0]!, ids[1]!] });
    }),
};

for (const [adapter, within] of Object.entries(ADAPTERS)) {
  for (const [what, check] of Object.entries(CASES)) test(`${adapter}: search ${what}`, () => within(check));
}
