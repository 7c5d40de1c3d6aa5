import type { Command } from 'commander';
import type { Device } from '../../src/config.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import { deviceOption, modelOption, nameOption, workersOption } from '../options.ts';
import { locateModel, openWorkspace, withModel, type LocatedModel, type Workspace } from '../workspace.ts';

/** What every command that runs a model takes. */
export interface ModelOptions {
  readonly model: string;
  readonly name?: string;
  readonly device?: Device;
  readonly workers?: number;
}

export function withModelOptions(command: Command): Command {
  return command.addOption(modelOption()).addOption(nameOption()).addOption(deviceOption()).addOption(workersOption());
}

/** Opens the workspace and the model named by the options for the length of `use`. */
export async function usingModel<T>(options: ModelOptions, use: (opened: { workspace: Workspace; located: LocatedModel; model: GradientModel; tokenizer: Tokenizer }) => Promise<T>): Promise<T> {
  const workspace = openWorkspace();
  const located = await locateModel(workspace, options);
  return withModel(workspace, located, options, (model, tokenizer) => use({ workspace, located, model, tokenizer }));
}
