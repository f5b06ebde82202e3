/**
 * Names of objects as files of a share. A file server may be Windows: it has names of its own for devices, whatever their
 * ending, and drops a dot at the end. Such a segment gets one character written as %XX, which no object's name contains;
 * every other name, and so every name that a repository uses today, is the same as in a directory.
 */
const devices = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/;

export function fileNameOf(segment: string): string {
  const shown = devices.test(segment) ? escaped(segment, 0) : segment;
  return shown.endsWith('.') ? escaped(shown, shown.length - 1) : shown;
}

export function segmentOf(fileName: string): string {
  return fileName.replaceAll(/%([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

function escaped(text: string, at: number): string {
  return `${text.slice(0, at)}%${text.charCodeAt(at).toString(16).padStart(2, '0')}${text.slice(at + 1)}`;
}

export function filePathOf(name: string): string {
  return name.split('/').map(fileNameOf).join('/');
}
