import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CIRCUIT_DEFAULTS } from '../../src/pipelines/circuits.ts';
import { FAITHFULNESS_DEFAULTS } from '../../src/pipelines/circuitsTested.ts';
import { TRAIN_DEFAULTS } from '../../src/pipelines/trainOptions.ts';
import { readConfig } from '../../src/config.ts';
import { build } from '../stages/build.ts';
import { EXPLAIN_STAGE_DEFAULTS } from '../stages/explain.ts';
import { DEMO_MODEL, DEMO_SEED, DEMO_TOKENS, DEMO_TRAIN_SHARE, demoTextOf } from '../stages/demoRecipe.ts';
import { locateModel, openWorkspace, withModel } from '../workspace.ts';
import { hookPointsOf } from './trainOptions.ts';
import { serve } from './serve.ts';

export function demoCommand(program: Command): void {
  program
    .command('demo')
    .description('Build the catalog of the bundled demo model (a few minutes on two cores), then serve it')
    .option('--no-serve', 'build and exit')
    .option('--fresh', 'forget finished stages and start over', false)
    .action(async (options: { serve: boolean; fresh: boolean }) => {
      const config = readConfig();
      if (options.fresh) for (const folder of ['runs', 'current']) await rm(join(config.home, folder), { recursive: true, force: true });
      await buildDemo(options.fresh);
      if (options.serve) await serve(config, exampleOf);
    });
}

async function buildDemo(reload: boolean): Promise<void> {
  const workspace = openWorkspace();
  const began = performance.now();
  const choice = { model: DEMO_MODEL, name: 'demo' };
  const located = await locateModel(workspace, choice);
  await withModel(workspace, located, choice, async (model, tokenizer) => {
    await build(workspace, { located, model, tokenizer }, {
      text: demoTextOf(located)!,
      tokens: DEMO_TOKENS,
      hookPoints: hookPointsOf({ layers: 'all', hook: 'resid_post' }, model.info.layers),
      trainShare: DEMO_TRAIN_SHARE,
      set: 'tied-r4',
      train: { ...TRAIN_DEFAULTS, seed: DEMO_SEED },
      analyse: { maxTokens: null, seed: DEMO_SEED },
      explain: { ...EXPLAIN_STAGE_DEFAULTS, seed: DEMO_SEED },
      targets: { targets: [], best: 2, promotes: [')'] },
      circuits: { ...CIRCUIT_DEFAULTS, faithfulness: FAITHFULNESS_DEFAULTS },
      nearest: true,
      reload,
    });
  });
  workspace.progress.say(`demo: catalog ready in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

function exampleOf(url: string): string {
  const query = `{ searchFeatures(query: "brackets", first: 3) { nodes { address explanations { nodes { description } } } } }`;
  return `  try: curl -s ${url} -H 'content-type: application/json' -d '${JSON.stringify({ query })}'`;
}
