// Finds a feature by description, clamps it, and prints what the model then writes beside what it writes without.
//   node scripts/examples/steer.ts "brackets" "They met at the" 10
import { FindFeaturesDocument, SteerDocument, checked } from '../../clients/typescript/src/index.ts';
import { run } from './connect.ts';

const [query = 'brackets', prompt = 'They met at the Harbour Town Library', strength = '2'] = process.argv.slice(2);
await run(async (client) => {
  const [feature] = (await client.request(FindFeaturesDocument, { query, first: 1 })).searchFeatures.nodes;
  if (feature === undefined) throw new Error(`no feature is described with "${query}"`);
  const { address, maxActivation, explanations } = feature;
  // As multiples of the strongest activation that was ever seen of it.
  const value = Number(strength) * maxActivation;
  const input = { model: address.split('/')[0]!, prompt, features: [{ feature: address, operation: 'SET' as const, value }] };
  const { steerRun } = checked((await client.request(SteerDocument, { input })).steer);
  const { steered, unsteered, firstDifference } = steerRun!;
  console.log(`${address}: ${explanations.nodes[0]?.description ?? 'not explained'}`);
  console.log(`set to ${value.toFixed(2)} after ${JSON.stringify(prompt)}; first difference at token ${firstDifference ?? 'none'}`);
  console.log(`  unsteered ${JSON.stringify(unsteered.text)}`);
  console.log(`  steered   ${JSON.stringify(steered.text)}`);
  console.log(`  log p of the steered text: ${steered.logProb.toFixed(1)} steered, ${steered.unsteeredLogProb.toFixed(1)} without`);
});
