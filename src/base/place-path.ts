/** Paths of folders, as people write them for a host: each system has its own, and what one takes for a path is a mere name to the other. */
import type { HostPlatform } from './host-platform.ts';
import { windowsPathProblem } from './windows-path.ts';

/** `C:…` and `\\server\…`. */
export function isOfWindows(path: string): boolean {
  return /^([a-z]:|\\)/i.test(path);
}

/** Why a path is not one of a folder on a host that runs this, or undefined. A name without a beginning would be wherever the service was started. */
export function placePathProblem(path: string, platform: HostPlatform): string | undefined {
  if (platform === 'windows') return /^\/(?!\/)/.test(path) ? `${path} is a path of Linux, and this host runs Windows` : windowsPathProblem(path);
  if (isOfWindows(path)) return `${path} is a path of Windows, and this host runs Linux`;
  return path.startsWith('/') ? undefined : `${path} does not begin with "/"`;
}
