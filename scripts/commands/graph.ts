import { readFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { circuitDot } from '../../src/adapters/report/circuitDot.ts';
import { circuitFigure } from '../../src/adapters/report/circuitFigure.ts';
import { writeReportFile } from '../../src/adapters/report/reportFile.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { readLanguageModel } from '../../src/lm/registry.ts';
import { count, number, setOption } from '../options.ts';
import { circuitGraphOf } from '../stages/circuitGraph.ts';
import { promptGraph } from '../stages/promptGraph.ts';
import { locateModel, openWorkspace, withModel } from '../workspace.ts';
import { withModelOptions, type ModelOptions } from './shared.ts';

/** By the ending of the file's name. */
const FORMATS: Readonly<Record<string, string>> = { '.html': 'html', '.json': 'attribution-graph', '.dot': 'dot', '.gv': 'dot' };

interface GraphFlags extends ModelOptions {
  readonly set: string;
  readonly target?: string;
  readonly token?: string;
  readonly depth: number;
  readonly perNode: number;
  readonly minEffect: number;
  readonly edges: number;
  readonly format?: string;
  readonly prompt?: string;
  readonly weights: 'corpus' | 'prompt';
  readonly out: string;
}

export function graphCommand(program: Command): void {
  withModelOptions(program.command('graph'))
    .description('Draw or export a circuit that the circuits command measured: what feeds a feature or an output token. Needs no database')
    .addOption(setOption())
    .option('--target <address>', 'feature at the end, {model}/{dictionary}/{index} (default: the first target of the circuits run)')
    .addOption(new Option('--token <text>', 'output token at the end instead, e.g. ")"').conflicts('target'))
    .option('--depth <steps>', 'steps from the target', count(), 8)
    .option('--per-node <count>', 'strongest edges into each node (the paper drew 3)', count(), 3)
    .option('--min-effect <effect>', 'leave out edges of smaller |effect|', number(0, Infinity), 0.01)
    .option('--edges <count>', 'edges at most, nearest the target first', count(), 100)
    .addOption(new Option('--format <name>', "html (a figure), attribution-graph (JSON that Neuronpedia's and circuit-tracer's viewers open) or dot (Graphviz); by default by the file's ending").choices([...new Set(Object.values(FORMATS))]))
    .option('--prompt <text>', "attribution-graph: the text to show it on (default: the target's strongest)")
    .addOption(new Option('--weights <which>', 'attribution-graph: link weights are means over the run\'s contexts, or measured anew by ablation in the prompt').choices(['corpus', 'prompt']).default('corpus'))
    .option('--out <file>', 'where to', 'circuit.html')
    .action(async (options: GraphFlags) => {
      const workspace = openWorkspace();
      const format = options.format ?? FORMATS[extname(options.out).toLowerCase()];
      if (format === undefined) throw new CallerError('BAD_INPUT', `${options.out}: its ending says no format; name one with --format`);
      if (format !== 'attribution-graph' && (options.prompt !== undefined || options.weights === 'prompt')) throw new CallerError('BAD_INPUT', `--prompt and --weights are for attribution graphs; a ${format} shows means over the corpus`);
      const located = await locateModel(workspace, options);
      const { layers } = readLanguageModel(JSON.parse(await readFile(join(located.folder, 'config.json'), 'utf8')));
      const bounds = { depth: options.depth, perNode: options.perNode, minEffect: options.minEffect, limit: options.edges };
      const found = await circuitGraphOf(workspace, located, layers, { set: options.set, target: options.target ?? null, token: options.token ?? null, bounds });
      const { graph } = found;
      const out = resolve(options.out);
      if (format === 'attribution-graph') {
        const json = await withModel(workspace, located, options, (model, tokenizer) => promptGraph(workspace, model, tokenizer, found, { prompt: options.prompt ?? null, weights: options.weights }));
        await writeReportFile(out, `${JSON.stringify(json, null, 1)}\n`);
        workspace.progress.say(`graph: ${json.nodes.length} nodes, ${json.links.length} links on a prompt of ${json.metadata.prompt_tokens.length} tokens`);
      } else {
        await writeReportFile(out, format === 'dot' ? circuitDot(graph) : circuitFigure(graph));
        workspace.progress.say(`graph: ${graph.nodes.length} nodes, ${graph.edges.length} edges${graph.truncated ? ' (more were left out: raise --edges)' : ''}`);
      }
      console.log(out);
    });
}
