import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { CheckedRow, ExportFormat, NameFinding, PortRowAnswer } from '../../contract/ports.ts';
import type { RouteAnswer } from '../../contract/routes.ts';
import { isGiven, listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { fileNotWritten } from '../failures.ts';
import { plural } from '../format.ts';
import { numberOf, usageOf } from '../numbers.ts';
import { showTable } from '../table.ts';

export async function showMatrix(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('ports.matrix', { query: { host: textOf(invocation, 'host') } });
  invocation.answer(answer, () =>
    answer.rows.length === 0
      ? 'no machine has to reach another'
      : showTable<PortRowAnswer>(
          [
            { title: 'ROW', cell: ({ row }) => String(row), right: true },
            { title: 'FROM', cell: ({ from }) => from.name },
            { title: 'TO', cell: ({ to }) => to.name },
            { title: 'PORTS', cell: portsOf },
            { title: 'CHANGED BY', cell: ({ changedBy }) => changedBy },
            { title: 'FOR', cell: ({ purpose, optional }) => `${purpose}${optional ? ' (optional)' : ''}` },
          ],
          answer.rows,
        ),
  );
  return exitCodes.done;
}

function portsOf({ protocol, ports }: PortRowAnswer): string {
  return `${protocol} ${ports.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(', ')}`;
}

export async function checkPlan(invocation: Invocation): Promise<ExitCode> {
  const seconds = numberOf(invocation, 'wait', { from: 0.1, to: 30 });
  const answer = await (await invocation.client()).call('ports.check', {
    body: { host: textOf(invocation, 'host'), rows: rowsOf(invocation), ...(seconds !== undefined && { eachMs: Math.round(seconds * 1000) }) },
  });
  invocation.answer(answer, () => describeCheck(answer, isGiven(invocation, 'all')));
  return answer.ok ? exitCodes.done : exitCodes.part;
}

function rowsOf(invocation: Invocation): number[] | undefined {
  const rows = listOf(invocation, 'row');
  const strange = rows.find((text) => !/^[1-9]\d?$/.test(text));
  if (strange !== undefined) throw usageOf(invocation, `--row takes the number of a row, not "${strange}"`);
  return rows.length === 0 ? undefined : rows.map(Number);
}

function describeCheck({ rows, names, ok }: RouteAnswer<'ports.check'>, withGood: boolean): string {
  const shown = rows.filter(({ outcome }) => withGood || outcome !== 'good');
  const records = names.filter(({ kind }) => withGood || kind !== 'good');
  const good = rows.filter(({ outcome }) => outcome === 'good').length;
  const untried = rows.filter(({ outcome }) => outcome === 'not-tried').length;
  return [
    ...(shown.length === 0 ? [] : [outcomeTable(shown), '']),
    ...(records.length === 0 ? [] : [...records.map(nameLine), '']),
    `${good} of ${plural(rows.length, 'row')} good${untried === 0 ? '' : `, ${untried} that could not be tried`}; ${ok ? 'nothing is wrong' : 'the lines above say what is not'}`,
  ].join('\n');
}

function outcomeTable(rows: readonly CheckedRow[]): string {
  return showTable<CheckedRow>(
    [
      { title: 'ROW', cell: ({ row }) => String(row), right: true },
      { title: 'FROM', cell: ({ from }) => from.name },
      { title: 'TO', cell: ({ to }) => to.name },
      { title: 'PORTS', cell: portsOf },
      { title: 'OUTCOME', cell: ({ outcome }) => outcome },
      { title: 'WHAT WAS MET', cell: ({ port, says, purpose, optional }) => `${port === null ? '' : `port ${port}: `}${says}  (${optional ? 'optional: ' : ''}${purpose})` },
    ],
    rows,
  );
}

function nameLine({ kind, says, record }: NameFinding): string {
  return `name   ${kind}: ${says}${record === null ? '' : `\n         mend it with   ${record}`}`;
}

const fileEnds: Record<ExportFormat, string> = { nftables: 'nft', iptables: 'rules', firewalld: 'sh', ufw: 'sh', netsh: 'cmd', csv: 'csv', json: 'json' };

export async function exportPlan(invocation: Invocation): Promise<ExitCode> {
  const format = textOf(invocation, 'format') as ExportFormat;
  const host = textOf(invocation, 'host');
  const out = textOf(invocation, 'out');
  const answer = await (await invocation.client()).call('ports.export', { query: { format, host } });
  if (out === undefined) {
    invocation.answer(answer, () => answer.texts.map(({ text }) => text.replace(/\n$/, '')).join('\n\n'));
    return exitCodes.done;
  }
  const isOne = host !== undefined || answer.texts[0]?.machine === null;
  const files = answer.texts.map(({ machine, text }) => ({ path: isOne ? resolve(out) : join(resolve(out), `${(machine ?? 'all').replace(/[^A-Za-z0-9._-]+/g, '_').replace(/^\.+/, '_')}.${fileEnds[format]}`), text }));
  for (const { path, text } of files) await write(path, text);
  const document = { format, files: files.map(({ path }) => path) };
  invocation.answer(document, () => document.files.map((path) => `wrote ${path}`).join('\n'));
  return exitCodes.done;
}

async function write(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  } catch (error) {
    throw fileNotWritten({ path, why: (error as Error).message }, error);
  }
}
