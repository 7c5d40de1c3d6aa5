// Reads one feature: how often it fires, what was said of it and how well that predicts it, where it fires strongest, what feeds it.
//   node scripts/examples/feature.ts demo/2-tied-r4/17
import { FeatureDocument } from '../../clients/typescript/src/index.ts';
import { run } from './connect.ts';

const [address = 'demo/2-tied-r4/17'] = process.argv.slice(2);
await run(async (client) => {
  const { feature } = await client.request(FeatureDocument, { address, exemplars: 5 });
  if (feature === null) throw new Error(`the catalog has no feature ${address}`);
  console.log(`${address}: active on ${(100 * feature.density).toFixed(2)} % of tokens, at most ${feature.maxActivation.toFixed(2)}`);
  for (const { explainer, description, scores } of feature.explanations.nodes) {
    console.log(`  ${explainer}: ${description}`);
    for (const { scorer, judge, value, undefinedReason } of scores) console.log(`    ${scorer} by ${judge}: ${value?.toFixed(2) ?? undefinedReason}`);
  }
  for (const { maxActivation, tokens } of feature.exemplars) {
    const text = tokens.map(({ text, activation }) => (activation > 0 ? `«${text ?? '?'}»` : (text ?? '?'))).join('');
    console.log(`  ${maxActivation.toFixed(2).padStart(7)} ${JSON.stringify(text)}`);
  }
  for (const { node, effect, n } of feature.incomingEdges.edges) console.log(`  fed by ${node.address}: it drops by ${(100 * effect).toFixed(0)} % without, over ${n} texts`);
});
