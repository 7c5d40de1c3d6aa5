// Ablates every feature of a dictionary on a prompt, as one subscription a thousand, and prints those that move the next token most.
//   node scripts/examples/patches.ts demo/2-tied-r4 "They met at the Harbour Town Library (HTL"
import { DictionaryDocument, PatchesDocument, checked } from '../../clients/typescript/src/index.ts';
import { run } from './connect.ts';

/** Patches a subscription takes. */
const MOST = 1024;
const [dictionary = 'demo/2-tied-r4', base = 'They met at the Harbour Town Library (HTL'] = process.argv.slice(2);
const [model = '', name = ''] = dictionary.split('/');
await run(async (client) => {
  const { dictionary: row } = await client.request(DictionaryDocument, { model, name });
  if (row === null) throw new Error(`the catalog has no dictionary ${dictionary}`);
  const started = performance.now();
  const effects: { feature: string; kl: number }[] = [];
  for (let from = 0; from < row.nFeatures; from += MOST) {
    const features = Array.from({ length: Math.min(MOST, row.nFeatures - from) }, (_, i) => `${dictionary}/${from + i}`);
    const patches = features.map((feature) => ({ model, base, features: [{ feature, operation: 'ABLATE' as const }] }));
    for await (const { patches: progress } of client.subscribe(PatchesDocument, { input: { patches } })) {
      const { index, patchRun } = checked(progress);
      effects.push({ feature: features[index]!, kl: patchRun!.positions[0]!.klFromBase });
    }
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${effects.length} ablations in ${seconds.toFixed(1)} s, ${(effects.length / seconds).toFixed(0)}/s`);
  for (const { feature, kl } of effects.toSorted((a, b) => b.kl - a.kl).slice(0, 10)) console.log(`${feature.padEnd(24)} KL(patched‖base) = ${kl.toFixed(4)} nats`);
});
