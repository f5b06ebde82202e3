import type { TaskOutput } from '../contract/tasks.ts';
import { plural, showClusterTime, showSeconds } from './format.ts';

type Restored = (TaskOutput<'restore-collections'> | TaskOutput<'restore-set'>) & { readonly point: string; readonly uri?: string | null; readonly startOn?: readonly string[] };

export function describeRestore(restored: Restored, timeZone: string): string {
  const moment = showClusterTime(restored.at, timeZone);
  if (!restored.applied) return [`plan for ${moment}, from point ${restored.point}`, ...restored.plan.map((line) => `  ${line}`), 'Nothing was changed; add --apply to do it.'].join('\n');
  const documents = restored.documents === null ? '' : `, ${plural(restored.documents, 'document')}`;
  const lines = [`restored ${moment} from point ${restored.point} in ${showSeconds(restored.seconds)}${documents}`];
  if ('keptAside' in restored) {
    lines.push(...restored.keptAside.map((directory) => `kept aside: ${directory}`));
    lines.push(...(restored.uri == null ? startLines(restored.startCommands, restored.startOn ?? []) : [`the set takes writes: ${restored.uri}`]));
  }
  return lines.join('\n');
}

function startLines(commands: readonly (readonly string[])[], hosts: readonly string[]): string[] {
  const on = (k: number): string => (hosts[k] === undefined ? '' : `on ${hosts[k]}: `);
  return commands.length === 0 ? [] : ['start the members with', ...commands.map((words, k) => `  ${on(k)}${words.map(quoted).join(' ')}`)];
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
