/** Texts of /proc, read. */

export type MountedAt = { readonly mountPoint: string; readonly fileSystem: string; readonly device: string; readonly source: string; readonly readOnly: boolean };

/** A later mount on the same place hides an earlier one. */
export function holding(mounts: readonly MountedAt[], path: string): MountedAt | undefined {
  let best: MountedAt | undefined;
  for (const mount of mounts) {
    const under = mount.mountPoint === '/' || path === mount.mountPoint || path.startsWith(`${mount.mountPoint}/`);
    if (under && (best === undefined || mount.mountPoint.length >= best.mountPoint.length)) best = mount;
  }
  return best;
}

/** Lines of mountinfo: `id parent major:minor root mountpoint options [optional]* - type source superoptions`. */
export function parseMounts(text: string): MountedAt[] {
  return text.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ');
    const before = left?.split(' ') ?? [];
    const after = right?.split(' ') ?? [];
    if (before.length < 6 || after.length < 2) return [];
    return [{ mountPoint: unescape(before[4]!), fileSystem: after[0]!, device: before[2]!, source: unescape(after[1]!), readOnly: before[5]!.split(',').includes('ro') }];
  });
}

/** Spaces and the like are written as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Lines of /proc/net/tcp and tcp6: `sl local_address rem_address st ... inode`; state 0A is LISTEN. */
export function parseListeners(table: string): { address: string; port: number; inode: string }[] {
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const local = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(fields[1] ?? '');
    if (local === null || fields[3] !== '0A' || fields[9] === undefined) return [];
    return [{ address: addressOf(local[1]!), port: Number.parseInt(local[2]!, 16), inode: fields[9] }];
  });
}

/** Each group of four bytes is written as a number of the machine, the lowest byte first. */
function addressOf(hex: string): string {
  const bytes = [...hex.matchAll(/.{8}/g)].flatMap(([word]) => [...word.matchAll(/../g)].map(([byte]) => Number.parseInt(byte, 16)).reverse());
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255) return bytes.slice(12).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2]! << 8) | bytes[at * 2 + 1]!).toString(16));
  const zeros = [...groups.join(':').matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length)[0];
  if (zeros === undefined) return groups.join(':');
  const text = groups.join(':');
  return `${text.slice(0, zeros.index)}::${text.slice(zeros.index + zeros[0].length).replace(/^:/, '')}`;
}
