import { test } from 'node:test';
import { rebuildIndex } from '../../src/catalog/searchIndex/rebuild.ts';
import type { ExplainOutcome } from '../../src/domain/feature.ts';
import { MODEL, TOKENS, makeConfig, makeExplanation, makeFeature, makeLoad, stream } from '../helpers/catalogData.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { NO_MEILI, withMeili } from '../helpers/withMeili.ts';
import { CASES, DOCUMENTS } from './featureSearch.ts';
import type { SearchUnderTest } from './featureSearch.ts';

/** A catalog that holds DOCUMENTS; gives the ids of their two dictionaries. */
async function loadDocuments({ reader, writer }: TestCatalog): Promise<SearchUnderTest['ids']> {
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
  return [ids[0]!, ids[1]!];
}

for (const [what, check] of Object.entries(CASES)) {
  test(`postgres: search ${what}`, () => withCatalog(async (catalog) => check({ search: catalog.search, ids: await loadDocuments(catalog) })));
}

// One index for all: building one waits for the server's disk.
test('meilisearch: search', { skip: NO_MEILI }, (t) =>
  withCatalog(async (catalog) => {
    const ids = await loadDocuments(catalog);
    await withMeili(catalog.outbox, async (index) => {
      await rebuildIndex(index, []);
      // The server knows no stems: "run" is no form of "running" to it.
      const subject: SearchUnderTest = { search: index.search(), ids, traits: { stems: false, tellsPrefix: true } };
      for (const [what, check] of Object.entries(CASES)) await t.test(what, () => check(subject));
    });
  }),
);
