// Adds explanations to toy/1-a in the catalog at argv[2]; prints a line once rows are on their way, then never ends.
import { openCatalog } from '../../../src/adapters/prisma/catalog.ts';
import type { ExplainOutcome } from '../../../src/domain/feature.ts';
import { makeConfig, makeExplanation, makeRun } from '../../helpers/catalogData.ts';

const EXPLAINER = 'token-act-pair-v1@meta-llama/Llama-3.2-1B';

async function* outcomes(): AsyncGenerator<ExplainOutcome> {
  // More than one flush.
  const description = 'word '.repeat(500_000);
  for (let index = 0; index < 4; index++) yield makeExplanation(index, description, 0.5, EXPLAINER);
  console.log('loading');
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

const { writer } = await openCatalog({ home: '', databaseUrl: process.argv[2]!, migrate: false });
const target = { model: 'toy', dictionary: '1-a', weightsHash: makeConfig('1-a', 1).weightsHash };
await writer.loadExplanations(target, { explainer: EXPLAINER, run: makeRun('explain', 'slow'), outcomes: outcomes() });
