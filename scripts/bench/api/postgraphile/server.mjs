// PostGraphile on the schema `peer` (peerTables.ts) in its fastest configuration: production, simple lists, no IDE, prepared statements.
import { createServer } from 'node:http';
import { printSchema } from 'graphql';
import { postgraphile } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafserv } from 'postgraphile/grafserv/node';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';

const preset = {
  extends: [PostGraphileAmberPreset],
  // No global ids and no mutations: nothing that the questions do not ask.
  disablePlugins: ['NodePlugin', 'MutationPlugin'],
  schema: { defaultBehavior: '-connection +list -insert -update -delete' },
  pgServices: [makePgService({ connectionString: process.env.PEER_DATABASE, schemas: ['peer'], poolConfig: { max: 10 } })],
  grafserv: { graphiql: false, watch: false, websockets: false },
  grafast: { explain: false },
};

const pgl = postgraphile(preset);
const serv = pgl.createServ(grafserv);
const server = createServer();
server.on('error', (error) => console.error(error));
await serv.addTo(server);
if (process.argv.includes('--schema')) console.log(printSchema((await pgl.getSchemaResult()).schema));
server.listen(0, '127.0.0.1', () => process.send?.({ url: `http://127.0.0.1:${server.address().port}/graphql` }));
process.on('message', (word) => {
  if (word === 'rss') return void process.send({ rss: process.memoryUsage().rss });
  process.exit(0);
});
