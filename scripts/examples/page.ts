// Pages through a dictionary, a hundred features a request, and prints one line each.
//   node scripts/examples/page.ts demo/2-tied-r4 | sort -k 2 -n | head
import { FeaturesDocument, nodes } from '../../clients/typescript/src/index.ts';
import { run } from './connect.ts';

const [dictionary = 'demo/2-tied-r4'] = process.argv.slice(2);
const [model = '', name = ''] = dictionary.split('/');
await run(async (client) => {
  const filter = { model, dictionaries: [name] };
  for await (const { address, density, explanations } of nodes(client, FeaturesDocument, { filter, first: 100 }, ({ features }) => features)) {
    console.log(`${address}\t${density.toFixed(5)}\t${explanations.nodes[0]?.description ?? ''}`);
  }
});
