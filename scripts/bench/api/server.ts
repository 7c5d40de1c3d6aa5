/** The API as the product starts it, with the environment's configuration; tells the parent its URL and, when asked, its memory. */
import { readConfig } from '../../../src/config.ts';
import { startServer } from '../../../src/main.ts';

const server = await startServer(readConfig());
process.on('message', (word) => {
  if (word === 'rss') return void process.send!({ rss: process.memoryUsage().rss });
  void server.close().then(() => process.disconnect());
});
process.send!({ url: server.url });
