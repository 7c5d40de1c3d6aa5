// Finds features by description, ablates each alone, and prints what the one that matters most does to the next token.
//   npm run example -- "brackets" "The World Health Group (WHG"
import { FindFeaturesDocument, PatchDocument, checked } from '../../clients/typescript/src/index.ts';
import { run } from './connect.ts';

const [query = 'brackets', base = 'They met at the Harbour Town Library (HTL'] = process.argv.slice(2);
await run(async (client) => {
  const { searchFeatures } = await client.request(FindFeaturesDocument, { query, first: 20 });
  const found = [];
  for (const { address, explanations } of searchFeatures.nodes) {
    const input = { model: address.split('/')[0]!, base, features: [{ feature: address, operation: 'ABLATE' as const }] };
    const { patchRun } = checked((await client.request(PatchDocument, { input })).patch);
    found.push({ address, description: explanations.nodes[0]?.description ?? '', position: patchRun!.positions[0]! });
  }
  const [strongest] = found.sort((a, b) => b.position.klFromBase - a.position.klFromBase);
  if (strongest === undefined) throw new Error(`no feature is described with "${query}"`);
  const { address, description, position } = strongest;
  console.log(`${address}: ${description}`);
  console.log(`ablated in ${JSON.stringify(base)}: KL(patched‖base) = ${position.klFromBase.toFixed(4)} nats at the last token`);
  for (const { token, baseLogProb, patchedLogProb } of position.changes) {
    console.log(`  ${JSON.stringify(token).padEnd(14)} log p ${baseLogProb.toFixed(2)} → ${patchedLogProb.toFixed(2)}`);
  }
});
