// Finds features by description.
//   node scripts/examples/find.ts "brackets -quotes"
import { FindFeaturesDocument } from '../../clients/typescript/src/index.ts';
import { run } from './connect.ts';

const [query = 'brackets'] = process.argv.slice(2);
await run(async (client) => {
  const { searchFeatures } = await client.request(FindFeaturesDocument, { query, first: 10 });
  if (searchFeatures.nodes.length === 0) console.log(`no feature is described with "${query}"`);
  for (const { address, explanations } of searchFeatures.nodes) console.log(`${address.padEnd(24)} ${explanations.nodes[0]?.description ?? ''}`);
});
