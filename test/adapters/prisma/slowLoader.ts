// Loads into the catalog at argv[2]; prints a line once rows are on their way, then never ends.
import { openCatalog } from '../../../src/adapters/prisma/catalog.ts';
import type { FeatureAnalysis } from '../../../src/domain/feature.ts';
import { makeFeature, makeLoad } from '../../helpers/catalogData.ts';

async function* features(): AsyncGenerator<FeatureAnalysis> {
  // More than one flush.
  for (let index = 0; index < 30_000; index++) yield makeFeature(index);
  console.log('loading');
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

const { writer } = await openCatalog({ home: '', databaseUrl: process.argv[2]!, migrate: false });
await writer.loadDictionary(makeLoad('1-a', 40_000, [], { features: features() }));
