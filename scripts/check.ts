/** `npm run check`: types, lint, unit tests, architecture. Runs all of them, prints what failed, ends with 1 if anything did. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const checks: { name: string; args: string[] }[] = [
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'lint', args: ['node_modules/oxlint/bin/oxlint', 'src', 'test', 'scripts'] },
  { name: 'architecture', args: ['scripts/test.ts', '--no-setup', 'test/architecture.test.ts', 'test/lint-gate.test.ts'] },
  { name: 'unit', args: ['scripts/test.ts', '--no-setup', '--unit'] },
];

async function runCheck(args: string[]): Promise<{ code: number; output: string; seconds: number }> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => output.push(bytes));
  const code = await new Promise<number>((resolve) => child.on('close', (ended) => resolve(ended ?? 1)));
  return { code, output: Buffer.concat(output).toString(), seconds: (performance.now() - startedMs) / 1000 };
}

/** Unit tests wait now and then for what they started; what waits for nothing is done meanwhile. */
const lanes = [checks.filter(({ name }) => name !== 'unit'), checks.filter(({ name }) => name === 'unit')];

let failed = 0;
async function runLane(lane: typeof checks): Promise<void> {
  for (const check of lane) {
    const { code, output, seconds } = await runCheck(check.args);
    console.log(`${code === 0 ? 'ok  ' : 'FAIL'}  ${check.name}  ${seconds.toFixed(1)} s`);
    if (code === 0) continue;
    failed++;
    console.log(output.trimEnd());
  }
}
await Promise.all(lanes.map(runLane));
process.exit(failed === 0 ? 0 : 1);
