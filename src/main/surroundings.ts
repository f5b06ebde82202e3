/** What the command line knows of this machine: its environment, terminal, signals, and the programs beside it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../base/clock.ts';
import { fromWire, type WireFailure } from '../base/failure.ts';
import { askSecret } from './ask-secret.ts';
import type { KeptConfiguration, RecoveredServer, Surroundings } from '../cli/surroundings.ts';
import { programs, version } from './installation.ts';
import type { RecoveryQuestion } from './recover-server.ts';

const { env, stdout, stderr } = process;
const depotProgram = fileURLToPath(new URL('depot.ts', import.meta.url));
const serverProgram = fileURLToPath(new URL('server.ts', import.meta.url));
type Recovered = { recovered: RecoveredServer } | { copies: KeptConfiguration[] } | { failure: WireFailure };
type Added = { added: Awaited<ReturnType<Surroundings['addPackage']>> } | { failure: WireFailure };

export const surroundings: Surroundings = {
  version,
  terminal: {
    stdout: (text) => void stdout.write(text),
    stderr: (text) => void stderr.write(text),
    isWatched: stderr.isTTY && env['TERM'] !== 'dumb',
    columns: () => stderr.columns ?? 80,
  },
  clock: systemClock,
  timeZone: Temporal.Now.timeZoneId(),
  settings: { server: env['TIDEMARK_SERVER'], tokenFile: env['TIDEMARK_TOKEN_FILE'], caFile: env['TIDEMARK_CA_FILE'] },
  dataDirectories: [process.getuid?.() === 0 ? '/var/lib/tidemark' : join(env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'tidemark')],
  signInFile: join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'tidemark', 'sign-in.json'),
  askSecret,
  onInterrupt(act) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, act);
    return () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, act);
    };
  },
  programs: { node: programs.node, server: serverProgram, transport: fileURLToPath(new URL('transport.ts', import.meta.url)), depot: depotProgram },
  processId: process.pid,
  // Rooms with native code are loaded by the commands that need them: the others start faster without.
  tryLock: async (fd) => (await import('../base/native.ts')).tryLockFile(fd),
  inspectMachine: async (directory) => await (await import('../agent/findings.ts')).findings(directory),
  // By its program: what lands on other hosts has no distribution server in it.
  async addPackage(directory, file, isVouchedFor) {
    const { requireProgram } = await import('../base/child-process.ts');
    const [node, ...first] = programs.node;
    const said = JSON.parse(await requireProgram(node!, [...first, depotProgram, '--data', directory, '--add', file, ...(isVouchedFor ? ['--sign'] : [])], { deadlineMs: 300_000 })) as Added;
    if ('failure' in said) throw fromWire(said.failure);
    return said.added;
  },
  // By its program, as above; its secrets go in by a pipe.
  async recoverServer(place, passphrase, data, which) {
    const said = await askRecovery(data, { place, passphrase, ...which });
    if (!('recovered' in said)) throw new Error('the server did not say what it recovered');
    return said.recovered;
  },
  async listConfigurations(place, passphrase) {
    const said = await askRecovery('.', { place, passphrase, list: true });
    if (!('copies' in said)) throw new Error('the server did not list the copies');
    return said.copies;
  },
  openRepositoryDirect: async (place, passphrase) => await (await import('./direct-repository.ts')).openRepositoryDirect(place, passphrase),
};

async function askRecovery(data: string, question: RecoveryQuestion): Promise<Exclude<Recovered, { failure: WireFailure }>> {
  const { requireProgram } = await import('../base/child-process.ts');
  const [node, ...first] = programs.node;
  const said = JSON.parse(await requireProgram(node!, [...first, serverProgram, '--data', data, '--recover'], { deadlineMs: 300_000, input: JSON.stringify(question) })) as Recovered;
  if ('failure' in said) throw fromWire(said.failure);
  return said;
}
