// Finds a feature by description, ablates it, and prints what that does to the next token.
//   npm run example -- "brackets" "The World Health Group (WHG"
const url = process.env['CATALOG_URL'] ?? 'http://127.0.0.1:4000/graphql';
const [words = 'brackets', prompt = 'They met at the Harbour Town Library (HTL'] = process.argv.slice(2);

interface Answer<T> {
  readonly data: T | null;
  readonly errors?: readonly { readonly message: string }[];
}

async function ask<T>(query: string, variables: Readonly<Record<string, unknown>>): Promise<T> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) });
  const { data, errors } = (await response.json()) as Answer<T>;
  if (data === null || errors !== undefined) throw new Error(errors?.map(({ message }) => message).join('; ') ?? `HTTP ${response.status}`);
  return data;
}

interface Found {
  readonly searchFeatures: { readonly nodes: readonly { readonly address: string; readonly explanations: { readonly nodes: readonly { readonly description: string }[] } }[] };
}
const { searchFeatures } = await ask<Found>(
  'query Find($words: String!) { searchFeatures(query: $words, first: 20) { nodes { address explanations { nodes { description } } } } }',
  { words },
);
if (searchFeatures.nodes.length === 0) throw new Error(`no feature is described with "${words}"`);

interface Patched {
  readonly patch: {
    readonly patchRun: {
      readonly features: readonly { readonly address: string; readonly before: readonly number[] }[];
      readonly positions: readonly { readonly klFromBase: number; readonly changes: readonly { readonly token: string; readonly baseLogProb: number; readonly patchedLogProb: number }[] }[];
    } | null;
    readonly userErrors: readonly { readonly message: string }[];
  };
}
// Of the features found, the one that matters most here: ablate each alone, compare KL(patched‖base) at the last token.
let strongest: { address: string; description: string; kl: number; changes: Patched['patch']['patchRun'] } | null = null;
for (const { address, explanations } of searchFeatures.nodes) {
  const { patch } = await ask<Patched>(
    `mutation Ablate($input: PatchInput!) {
       patch(input: $input) {
         patchRun { features { address before } positions { klFromBase changes { token baseLogProb patchedLogProb } } }
         userErrors { message } } }`,
    { input: { model: address.split('/')[0], base: prompt, features: [{ feature: address, operation: 'ABLATE' }] } },
  );
  if (patch.patchRun === null) throw new Error(patch.userErrors.map(({ message }) => message).join('; '));
  const kl = patch.patchRun.positions[0]!.klFromBase;
  if (strongest === null || kl > strongest.kl) strongest = { address, description: explanations.nodes[0]?.description ?? '', kl, changes: patch.patchRun };
}

const { address, description, kl, changes } = strongest!;
console.log(`${address}: ${description}`);
console.log(`ablated in ${JSON.stringify(prompt)}: KL(patched‖base) = ${kl.toFixed(4)} nats at the last token`);
for (const { token, baseLogProb, patchedLogProb } of changes!.positions[0]!.changes) {
  console.log(`  ${JSON.stringify(token).padEnd(14)} log p ${baseLogProb.toFixed(2)} → ${patchedLogProb.toFixed(2)}`);
}
