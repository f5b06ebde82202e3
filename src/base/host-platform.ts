/** What a host runs, as far as others have to know it: which ports lead to it, and how its paths are written. */
export type HostPlatform = 'linux' | 'windows';

/** Of the machine that this process runs on. */
export const ownPlatform: HostPlatform = process.platform === 'win32' ? 'windows' : 'linux';
