// Ablates every feature of a dictionary on a prompt, 64 a request, and prints those that move the next token most.
//   node scripts/examples/patches.ts demo/2-tied-r4 "They met at the Harbour Town Library (HTL"
const url = process.env['CATALOG_URL'] ?? 'http://127.0.0.1:4000/graphql';
const [dictionary = 'demo/2-tied-r4', prompt = 'They met at the Harbour Town Library (HTL'] = process.argv.slice(2);
const [model = '', name = ''] = dictionary.split('/');

interface Result {
  readonly patchRun: { readonly positions: readonly { readonly klFromBase: number }[] } | null;
  readonly userErrors: readonly { readonly code: string; readonly message: string; readonly retryAfterSeconds: number | null }[];
}

async function ask<T>(query: string, variables: object): Promise<T> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) });
  const { data, errors } = (await response.json()) as { data: T | null; errors?: readonly { readonly message: string }[] };
  if (data === null || errors !== undefined) throw new Error(errors?.map(({ message }) => message).join('; ') ?? `HTTP ${response.status}`);
  return data;
}

const BATCH = `mutation Batch($input: PatchesInput!) {
  patches(input: $input) { results { patchRun { positions { klFromBase } } userErrors { code message retryAfterSeconds } } userErrors { message } } }`;

/** KL(patched‖base) of each feature's ablation; what the server has no room for now is sent again when it says. */
async function ablate(features: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let left = features; left.length > 0; ) {
    const patches = left.map((feature) => ({ model, base: prompt, features: [{ feature, operation: 'ABLATE' }] }));
    const { patches: answer } = await ask<{ patches: { results: Result[] | null; userErrors: { message: string }[] } }>(BATCH, { input: { patches } });
    if (answer.results === null) throw new Error(answer.userErrors.map(({ message }) => message).join('; '));
    const again: string[] = [];
    let seconds = 0;
    for (const [i, { patchRun, userErrors }] of answer.results.entries()) {
      const [error] = userErrors;
      if (patchRun !== null) found.set(left[i]!, patchRun.positions[0]!.klFromBase);
      else if (error?.code === 'BUSY' || error?.code === 'TIMED_OUT') {
        again.push(left[i]!);
        seconds = Math.max(seconds, error.retryAfterSeconds ?? 1);
      } else throw new Error(error?.message ?? 'no answer');
    }
    left = again;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
  return found;
}

const { dictionary: row } = await ask<{ dictionary: { nFeatures: number } | null }>('query ($model: String!, $name: String!) { dictionary(model: $model, name: $name) { nFeatures } }', { model, name });
if (row === null) throw new Error(`the catalog has no dictionary ${dictionary}`);
const started = performance.now();
const effects: [string, number][] = [];
for (let from = 0; from < row.nFeatures; from += 64) {
  const features = Array.from({ length: Math.min(64, row.nFeatures - from) }, (_, i) => `${dictionary}/${from + i}`);
  effects.push(...(await ablate(features)));
}
const seconds = (performance.now() - started) / 1000;
console.log(`${effects.length} ablations in ${seconds.toFixed(1)} s, ${(effects.length / seconds).toFixed(0)}/s`);
for (const [feature, kl] of effects.toSorted((a, b) => b[1] - a[1]).slice(0, 10)) console.log(`${feature.padEnd(24)} KL(patched‖base) = ${kl.toFixed(4)} nats`);
