// Finds a feature by description, clamps it, and prints what the model then writes beside what it writes without.
//   node scripts/examples/steer.ts "brackets" "They met at the" 10
const url = process.env['CATALOG_URL'] ?? 'http://127.0.0.1:4000/graphql';
const [words = 'brackets', prompt = 'They met at the Harbour Town Library', strength = '2'] = process.argv.slice(2);

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
  readonly searchFeatures: { readonly nodes: readonly { readonly address: string; readonly maxActivation: number; readonly explanations: { readonly nodes: readonly { readonly description: string }[] } }[] };
}
const { searchFeatures } = await ask<Found>(
  'query Find($words: String!) { searchFeatures(query: $words, first: 1) { nodes { address maxActivation explanations { nodes { description } } } } }',
  { words },
);
const [feature] = searchFeatures.nodes;
if (feature === undefined) throw new Error(`no feature is described with "${words}"`);

interface Written {
  readonly text: string;
  readonly logProb: number;
  readonly unsteeredLogProb: number;
}
interface Steered {
  readonly steer: {
    readonly steerRun: { readonly steered: Written; readonly unsteered: Written; readonly firstDifference: number | null } | null;
    readonly userErrors: readonly { readonly message: string }[];
  };
}
// As multiples of the strongest activation that was ever seen of it.
const value = Number(strength) * feature.maxActivation;
const { steer } = await ask<Steered>(
  `mutation Steer($input: SteerInput!) {
     steer(input: $input) {
       steerRun { firstDifference steered { text logProb unsteeredLogProb } unsteered { text logProb unsteeredLogProb } }
       userErrors { message } } }`,
  { input: { model: feature.address.split('/')[0], prompt, features: [{ feature: feature.address, operation: 'SET', value }] } },
);
if (steer.steerRun === null) throw new Error(steer.userErrors.map(({ message }) => message).join('; '));
const { steered, unsteered, firstDifference } = steer.steerRun;
console.log(`${feature.address}: ${feature.explanations.nodes[0]?.description ?? 'not explained'}`);
console.log(`set to ${value.toFixed(2)} after ${JSON.stringify(prompt)}; first difference at token ${firstDifference ?? 'none'}`);
console.log(`  unsteered ${JSON.stringify(unsteered.text)}`);
console.log(`  steered   ${JSON.stringify(steered.text)}`);
console.log(`  log p of the steered text: ${steered.logProb.toFixed(1)} steered, ${steered.unsteeredLogProb.toFixed(1)} without`);
