/**
 * Starts a program of this checkout: `node scripts/bootstrap.mjs FILE.ts [arguments]`.
 *
 * The only file besides bin/tidemark that has to run on Node 20: it installs the packages when they are missing or not
 * the locked ones, then hands over to the Node that came with them. Messages go to stderr; stdout is the program's.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bundledNode = join(root, 'node_modules', '.bin', 'node');

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

/** Whether what is installed is what the lock names; optional packages are other platforms' and may be absent. */
function isInstalled() {
  const installedLock = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedLock)) return false;
  const installed = packagesOf(installedLock);
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(
    ([place, entry]) => place === '' || entry.optional === true || installed[place]?.version === entry.version,
  );
}

function chooseNode() {
  if (existsSync(bundledNode)) return bundledNode;
  if (Number(process.versions.node.split('.')[0]) >= 26) return process.execPath;
  console.error(`tidemark: no Node 26 for ${process.platform} ${process.arch}: install Node 26 and run this with it`);
  process.exit(1);
}

/** For one start of this checkout at a time: a name in the kernel that goes with its process, however that ends. */
async function alone() {
  for (let waits = 0; ; waits++) {
    const server = createServer();
    const error = await new Promise((resolve) => {
      server.once('error', resolve);
      server.listen(`\0tidemark-install:${root}`, () => resolve(undefined));
    });
    if (error === undefined) return server;
    // Where there are no such names, npm alone decides.
    if (error.code !== 'EADDRINUSE') return undefined;
    if (waits === 0) console.error('tidemark: another start is installing the packages; waiting for it');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function install() {
  console.error('tidemark: installing packages (npm ci)');
  const quiet = ['ci', '--no-fund', '--no-audit', '--loglevel=error'];
  const { status, error } = spawnSync('npm', quiet, { cwd: root, stdio: ['ignore', 2, 2], timeout: 1_200_000 });
  if (status === 0) return;
  console.error(`tidemark: npm ci ${error === undefined ? `ended with ${status}` : `could not run: ${error.message}`}`);
  process.exit(1);
}

if (!isInstalled()) {
  const lock = await alone();
  if (!isInstalled()) install();
  lock?.close();
}

// Compiled code is kept between starts: a run starts hundreds of processes.
const compiled = { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled') };
const child = spawn(chooseNode(), process.argv.slice(2), { stdio: 'inherit', env: { ...compiled, ...process.env } });
// A terminal sends SIGINT to the whole group; this process has only to outlive the program.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`tidemark: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
