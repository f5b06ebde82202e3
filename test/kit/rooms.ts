import { readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

export type Room = { readonly name: string; readonly mayImport: ReadonlySet<string>; readonly packages: ReadonlySet<string> };
export type SourceFile = { readonly path: string; readonly text: string };

/** Reads the table of docs/rooms.md: `| name | sentence | rooms | packages |`. */
export function readRooms(page: string): Map<string, Room> {
  const names = (cell: string): Set<string> => new Set(cell.split(',').map((word) => word.trim()).filter((word) => word !== ''));
  const rows = page.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split('|').map((cell) => cell.trim()));
  const rooms = rows.filter((cells) => cells.length === 6 && cells[1] !== 'Room');
  return new Map(rooms.map(([, name, , mayImport, packages]) => [name!, { name: name!, mayImport: names(mayImport!), packages: names(packages!) }]));
}

/** Every `.ts` file below `folder`, with its path from `root`. */
export function readSources(root: string, folder: string): SourceFile[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name));
  return files.map((entry) => join(entry.parentPath, entry.name)).sort().map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }));
}

/** The text without comments; strings stay, as an import's name is one. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<![:'"`\\])\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, ' '));
}

export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const forms = [
    /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /(?:^|[;}])\s*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g,
    /\bnew URL\(\s*['"](\.[^'"]+\.[cm]?[jt]s)['"]\s*,\s*import\.meta\.url/g,
  ];
  // A name with a hole in it is text that a test writes into a file.
  return forms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1]!)).filter((name) => !name.includes('${'));
}

const drawers = /^(utils?|helpers?|common|internals?|types|misc|shared)$/;
const longest = 400;

/** One sentence for each way in which a file of `src/` breaks docs/rooms.md. */
export function roomViolations(file: SourceFile, rooms: ReadonlyMap<string, Room>): string[] {
  const parts = file.path.split('/');
  const room = rooms.get(parts[1] ?? '');
  if (parts.length < 3 || room === undefined) return [`${file.path}: is in no room of docs/rooms.md`];
  const found = importsOf(file.text).map((name) => importViolation(file, room, name));
  const lines = file.text.split('\n').length - 1;
  const drawer = parts.slice(2).map((part) => part.replace(/(\.test)?\.[cm]?[jt]s$/, '')).find((part) => drawers.test(part));
  return [
    ...found.filter((sentence) => sentence !== undefined),
    ...(lines > longest ? [`${file.path}: ${lines} lines; split it, ${longest} is the most`] : []),
    ...(drawer === undefined ? [] : [`${file.path}: "${drawer}" names a drawer; name it for the thing in it`]),
    ...homeViolations(file, room),
  ];
}

function importViolation(file: SourceFile, room: Room, name: string): string | undefined {
  const isTest = file.path.endsWith('.test.ts');
  if (name.startsWith('.')) {
    const target = relative('.', resolve(dirname(file.path), name)).split('/');
    if (isTest && target[0] === 'test') return undefined;
    if (target[0] !== 'src') return name.endsWith('package.json') ? undefined : `${file.path}: imports ${name}, outside src`;
    const other = target[1]!;
    if (other === room.name || room.mayImport.has(other)) return undefined;
    return `${file.path}: ${room.name} may not import ${other} (${name})`;
  }
  if (isBuiltin(name)) return name.startsWith('node:') ? undefined : `${file.path}: write node:${name}`;
  const outside = name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/');
  if (room.packages.has(outside) || (isTest && (outside === 'fast-check' || outside === 'croner'))) return undefined;
  return `${file.path}: ${room.name} may not import the package ${outside}`;
}

const homes: { pattern: RegExp; what: string; isHome: (file: SourceFile, room: Room) => boolean }[] = [
  {
    pattern: /\bprocess\.(env|argv|exit|exitCode|stdout|stderr|stdin)\b|\bimport ([^{]*|\{[^}]*\b(env|argv|exit|exitCode|stdout|stderr|stdin)\b[^}]*\}) from 'node:process'|\bfrom 'node:console'/,
    what: 'the process (env, argv, exit, streams) belongs to main',
    isHome: (file, room) => room.name === 'main' || file.path.endsWith('.test.ts'),
  },
  { pattern: /\bconsole\.\w+\(/, what: 'console belongs to main', isHome: (file, room) => room.name === 'main' || file.path.endsWith('.test.ts') },
  { pattern: /\bDate\.now\b|\bnew Date\(\)/, what: 'the wall clock is read in base/clock.ts only', isHome: (file) => file.path === 'src/base/clock.ts' || file.path.endsWith('.test.ts') },
  { pattern: /\bfrom 'koffi'|\bimport\('koffi'\)/, what: 'native calls are in base/native.ts, its Windows siblings, base/smb-client.ts and base/smb-library.ts only', isHome: (file) => /^src\/base\/(native|native-windows|windows-(service|service-manager|security|share)|smb-client|smb-library)\.ts$/.test(file.path) },
  { pattern: /\bMath\.random\b/, what: 'Math.random has no home; use base/ids.ts or a seed that is printed', isHome: () => false },
  { pattern: /\bimport (\{[^}]*\bz\b[^}]*\}|z) from 'zod'/, what: "write import * as z from 'zod'", isHome: () => false },
];

function homeViolations(file: SourceFile, room: Room): string[] {
  const code = withoutComments(file.text).split('\n');
  return homes
    .filter((home) => !home.isHome(file, room))
    .flatMap((home) => code.flatMap((line, at) => (home.pattern.test(line) ? [`${file.path}:${at + 1}: ${home.what}`] : [])));
}
