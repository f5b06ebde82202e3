/** Lays a package out as a directory: its programs, their runtime, its units. What is in the directory is what is installed. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackageName } from '../../src/contract/packages.ts';
import { bundle, type Bundled, type Program } from './bundle.ts';

const onHosts = ['transport', 'warden', 'mover', 'mount', 'guardian', 'tidemark', 'store-worker', 'lay-worker', 'share-child'] as const;

export type LinuxPackage = Exclude<PackageName, 'tidemark-depot'>;

/** The programs of each package: what is not needed there is not there. */
export const packages: Readonly<Record<LinuxPackage, readonly Program[]>> = {
  'tidemark-deployer': ['deployer'],
  'tidemark-transport': onHosts,
  'tidemark-server': ['server', 'depot', ...onHosts],
};

export const linuxPackages = Object.keys(packages) as LinuxPackage[];

/** What operators load into their monitoring, in the package of the server. */
export const share = {
  mibs: ['TIDEMARK-MIB.txt'],
  monitoring: ['prometheus.yml', 'tidemark-rules.yml', 'tidemark-dashboard.json'],
} as const;

/** Files that native packages need at run time, by package. */
const nativeFiles = (arch: string): Readonly<Record<string, readonly string[]>> => ({
  koffi: ['package.json', 'LICENSE.txt', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js'],
  [`@koromix/koffi-linux-${arch}`]: ['package.json', 'index.js', `linux_${arch}`],
  '@napi-rs/blake-hash': ['package.json', 'LICENSE', 'index.js'],
  [`@napi-rs/blake-hash-linux-${arch}-gnu`]: ['package.json', `blake.linux-${arch}-gnu.node`],
});

export type LaidOut = { readonly directory: string; readonly programs: readonly Bundled[] };

export async function layOut(root: string, directory: string, name: LinuxPackage, version: string): Promise<LaidOut> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'bin'), { recursive: true });
  const laid = await bundle(root, join(directory, 'lib/main'), packages[name]);
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify({ name, version, type: 'module', private: true })}\n`);
  for (const [from, files] of Object.entries(nativeFiles(process.arch))) {
    for (const file of files) cpSync(join(root, 'node_modules', from, file), join(directory, 'node_modules', from, file), { recursive: true });
  }
  copyFileSync(runtime(root), join(directory, 'bin/node'));
  chmodSync(join(directory, 'bin/node'), 0o755);
  if (packages[name].includes('tidemark')) {
    copyFileSync(join(root, 'packaging/tidemark.sh'), join(directory, 'bin/tidemark'));
    chmodSync(join(directory, 'bin/tidemark'), 0o755);
  }
  if (name === 'tidemark-transport') {
    copyFileSync(join(root, 'packaging/tidemark-transport/tidemark-warden.sh'), join(directory, 'bin/tidemark-warden'));
    chmodSync(join(directory, 'bin/tidemark-warden'), 0o755);
  }
  if (name === 'tidemark-server') {
    for (const [folder, files] of Object.entries(share)) for (const file of files) cpSync(join(root, 'packaging', folder, file), join(directory, 'share', folder, file), { recursive: true });
  }
  const packaging = join(root, 'packaging', name);
  copyFileSync(join(root, 'packaging/setup.sh'), join(directory, 'setup.sh'));
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  cpSync(packaging, directory, { recursive: true, filter: (file) => !/\.(service|socket|conf)$/.test(file) });
  cpSync(packaging, join(directory, 'units'), { recursive: true, filter: (file) => !file.endsWith('.sh') });
  return { directory, programs: laid };
}

/** The locked Node without its symbols, made once and kept. */
function runtime(root: string): string {
  const source = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
  const { size, mtimeMs } = statSync(source);
  const kept = join(root, 'node_modules/.cache/packaging', `node-${process.arch}-${size}-${Math.round(mtimeMs)}`);
  if (existsSync(kept)) return kept;
  mkdirSync(join(kept, '..'), { recursive: true });
  const partial = `${kept}.${process.pid}`;
  try {
    execFileSync('strip', ['-o', partial, source], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 120_000 });
  } catch (error) {
    console.error(`not stripped, so some 40 MB larger: ${(error as Error).message.split('\n')[0]}`);
    copyFileSync(source, partial);
  }
  execFileSync('mv', [partial, kept]);
  return kept;
}

export function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}
