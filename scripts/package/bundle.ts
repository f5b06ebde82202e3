/**
 * Bundles front doors into one directory that runs without a checkout.
 *
 *   ROOT/package.json          name and version of the package: the programs read it, as they do in a checkout
 *   ROOT/bin/node              its own runtime
 *   ROOT/lib/main/*.js         programs, workers and what they share, all in one folder
 *   ROOT/node_modules/         packages with native code, as small as they go
 *
 * Programs start each other and their workers by `new URL('NAME.ts', import.meta.url)`. In the bundle all of them are
 * in one folder and end in .js, so these addresses are rewritten to it.
 */
import { basename, join } from 'node:path';
import { rolldown, type Plugin } from 'rolldown';

export type Program = keyof typeof programs;

export const programs = {
  deployer: 'src/main/deployer.ts',
  transport: 'src/main/transport.ts',
  mover: 'src/main/mover.ts',
  mount: 'src/main/mount.ts',
  guardian: 'src/main/guardian.ts',
  warden: 'src/main/warden.ts',
  tidemark: 'src/main/tidemark.ts',
  server: 'src/main/server.ts',
  depot: 'src/main/depot.ts',
  installer: 'src/main/installer.ts',
  'store-worker': 'src/repository/store-worker.ts',
  'lay-worker': 'src/repository/lay-worker.ts',
  'share-child': 'src/repository/storage/share-child.ts',
} as const;

/** Packages with native code: copied, not bundled. */
const native = ['koffi', '@napi-rs/blake-hash'];

/** What bundled packages would use if it were there, and do without. */
const optional = ['kerberos', 'snappy', 'socks', 'aws4', '@mongodb-js/zstd', 'gcp-metadata', '@aws-sdk/credential-providers', 'mongodb-client-encryption', 'bufferutil', 'utf-8-validate', 'cpu-features', 'pino-pretty'];

export type Bundled = { readonly file: string; /** Source files and packages inside, as paths from the root of the checkout. */ readonly modules: readonly string[] };

/** Writes the programs into `directory` and answers what is inside each file. */
export async function bundle(root: string, directory: string, names: readonly Program[]): Promise<Bundled[]> {
  const input = Object.fromEntries(names.map((name) => [name, join(root, programs[name])]));
  const build = await rolldown({
    input,
    cwd: root,
    platform: 'node',
    external: (id) => [...native, ...optional].some((name) => id === name || id.startsWith(`${name}/`)) || id.endsWith('.node'),
    plugins: [addressesInOneFolder],
    logLevel: 'warn',
    treeshake: true,
  });
  try {
    const { output } = await build.write({ dir: directory, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js', minify: { compress: true, mangle: false, codegen: false } });
    return output.map((file) => ({ file: file.fileName, modules: file.type === 'chunk' ? file.moduleIds.map((id) => id.replace(`${root}/`, '')) : [] }));
  } finally {
    await build.close();
  }
}

const addressesInOneFolder: Plugin = {
  name: 'addresses-in-one-folder',
  transform(code) {
    const found = code.replaceAll(/new URL\((['"])([^'"]+)\.ts\1, import\.meta\.url\)/g, (_, quote: string, path: string) => `new URL(${quote}./${basename(path)}.js${quote}, import.meta.url)`);
    return found === code ? undefined : found;
  },
  // Of packages that were CommonJS: Node takes a module that names it for one.
  renderChunk: (code) => (code.includes('__dirname') ? code.replaceAll(/\b__dirname\b/g, 'import.meta.dirname') : undefined),
};
