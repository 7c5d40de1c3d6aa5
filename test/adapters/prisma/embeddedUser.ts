// A process that uses the embedded server of argv[2]: prints the URL, then waits to be killed or for "stop" on its input.
import { startEmbedded } from '../../../src/adapters/prisma/embedded.ts';

const server = await startEmbedded(process.argv[2]!);
console.log(server.url);
process.stdin.on('data', (chunk: Buffer) => {
  if (chunk.toString().trim() === 'stop') void server.stop().then(() => process.exit(0));
});
