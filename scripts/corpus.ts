// Writes the demo model's text for the Python trainer: train.jsonl and heldout.jsonl ({text, source} a line) and ioi.jsonl
// (held-out indirect-object prompts).
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { installedText } from '../src/adapters/files/installedText.ts';
import { demoCorpus } from '../src/corpus/demoCorpus.ts';
import { ioiPrompt } from '../src/corpus/ioi.ts';
import { HELD_OUT_NAMES, PEOPLE, TRAINING_NAMES } from '../src/corpus/names.ts';
import { Rng } from '../src/math/rng.ts';

const program = new Command('corpus')
  .description("Writes the demo model's training text, from installed packages and from generators, for scripts/oracle/.")
  .requiredOption('--out <folder>', 'folder to write to')
  .option('--seed <integer>', 'orders passages and writes generated documents', Number, 20)
  .option('--generated-share <0..1>', 'share of training characters that is generated; held-out text always has 0.3', Number, 0.55)
  .option('--ioi <count>', 'held-out indirect-object prompts, half with held-out names', Number, 2000)
  .parse();
const options = program.opts<{ out: string; seed: number; generatedShare: number; ioi: number }>();

/** Writes lines to a temporary name, then renames. Returns how many lines and characters of text. */
async function writeLines(name: string, lines: AsyncIterable<{ text: string; row: unknown }>): Promise<{ lines: number; characters: number }> {
  const path = join(options.out, name);
  const file = await open(`${path}.tmp`, 'w');
  const count = { lines: 0, characters: 0 };
  let held: string[] = [];
  for await (const { text, row } of lines) {
    held.push(JSON.stringify(row));
    count.lines++;
    count.characters += text.length;
    if (held.length === 4096) {
      await file.write(`${held.join('\n')}\n`);
      held = [];
    }
  }
  if (held.length > 0) await file.write(`${held.join('\n')}\n`);
  await file.close();
  await rename(`${path}.tmp`, path);
  return count;
}

async function* heldOutPrompts(): AsyncGenerator<{ text: string; row: unknown }> {
  const rng = Rng.derive(options.seed, 'ioi');
  for (let i = 0; i < options.ioi; i++) {
    const unseenNames = i % 2 === 0;
    const prompt = ioiPrompt(rng, { names: unseenNames ? HELD_OUT_NAMES : TRAINING_NAMES, combinations: 'heldout' });
    yield { text: prompt.prompt, row: { ...prompt, unseenNames } };
  }
}

await mkdir(options.out, { recursive: true });
const installed = await installedText({ nodeModules: join(import.meta.dirname, '..', 'node_modules'), seed: options.seed });
console.log(`installed text: ${installed.length} files, ${installed.reduce((n, d) => n + d.text.length, 0)} characters`);
for (const split of ['train', 'heldout'] as const) {
  const rows = async function* (): AsyncGenerator<{ text: string; row: unknown }> {
    const generatedShare = split === 'train' ? options.generatedShare : 0.3;
    for await (const document of demoCorpus({ seed: options.seed, split, installed, generatedShare })) yield { text: document.text, row: document };
  };
  const { lines, characters } = await writeLines(`${split}.jsonl`, rows());
  console.log(`${split}.jsonl: ${lines} documents, ${characters} characters`);
}
const { lines } = await writeLines('ioi.jsonl', heldOutPrompts());
console.log(`ioi.jsonl: ${lines} prompts`);
async function* people(): AsyncGenerator<{ text: string; row: unknown }> {
  for (const person of PEOPLE) yield { text: person.name, row: person };
}
await writeLines('people.jsonl', people());
