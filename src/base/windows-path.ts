/**
 * Paths of Windows that are taken from people and from other hosts. Windows accepts far more than it keeps: `aux.txt` is a
 * device, `a:b` a second stream of the file a, `a.` and `a ` are a, and `C:x` is wherever that drive's current folder is.
 */
const devices = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$)(\.|:|$)/i;
// eslint-disable-next-line no-control-regex
const forbidden = /[<>:"|?*\u0000-\u001f]/;

/** Why a path is not one that a service uses, or undefined. `C:\folder`, `\\server\share\folder`, and both in their long forms. */
export function windowsPathProblem(path: string): string | undefined {
  const long = path.replace(/^\\\\\?\\UNC\\/i, '\\\\').replace(/^\\\\\?\\/, '');
  const drive = /^[a-z]:[\\/]/i.exec(long);
  const share = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)/.exec(long);
  if (drive === null && share === null) return `${path} is neither a drive's (C:\\folder) nor a share's (\\\\server\\share\\folder)`;
  const rest = long.slice(drive === null ? share![0].length : drive[0].length);
  const segments = [...(share === null ? [] : share.slice(1, 3)), ...rest.split(/[\\/]+/)].filter((segment) => segment !== '');
  for (const segment of segments) {
    const problem = segmentProblem(segment);
    if (problem !== undefined) return `${path}: ${problem}`;
  }
  return undefined;
}

function segmentProblem(segment: string): string | undefined {
  if (segment === '.' || segment === '..') return `it goes through ${segment}`;
  if (devices.test(segment)) return `${segment} is a device of Windows`;
  if (forbidden.test(segment)) return `${JSON.stringify(segment)} has a character that Windows does not keep in names`;
  if (/[. ]$/.test(segment)) return `${JSON.stringify(segment)} ends with a dot or a space, which Windows drops`;
  return undefined;
}
