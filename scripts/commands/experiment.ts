import type { Command } from 'commander';
import { experimentIoiCommand } from './experimentIoi.ts';
import { experimentTokenFeatureCommand } from './experimentTokenFeature.ts';

/** Causal experiments that come out as tables and figures. */
export function experimentCommand(program: Command): void {
  const experiment = program.command('experiment').description('Causal experiments of Cunningham et al. 2023 on a model and its dictionaries: tables, figures, and the run they come from');
  for (const add of [experimentIoiCommand, experimentTokenFeatureCommand]) add(experiment);
}
