import type { HostLook } from '../contract/host-look.ts';

export type PlatformVerdict = { readonly kind: 'fit'; readonly platform: 'linux-x64' | 'linux-arm64' } | { readonly kind: 'unfit'; readonly why: string };

/** The oldest glibc our programs run on, and the oldest systemd that knows every line of our units. */
const oldestGlibc = [2, 28] as const;
const oldestSystemd = 235;

const machines: Readonly<Record<string, 'linux-x64' | 'linux-arm64'>> = { x86_64: 'linux-x64', aarch64: 'linux-arm64' };

/** Whether our services run on a machine like this, and which package it takes. */
export function platformVerdict(look: HostLook, needBytes: number): PlatformVerdict {
  const unfit = (why: string): PlatformVerdict => ({ kind: 'unfit', why });
  const platform = machines[look.machine];
  if (!look.kernel.startsWith('Linux')) return unfit(`it runs ${look.kernel}, and only Linux is supported`);
  if (platform === undefined) return unfit(`its processor is ${look.machine}; x86_64 and aarch64 are supported`);
  if (look.glibc === null) return unfit('it has no glibc');
  const [major = 0, minor = 0] = look.glibc.split('.').map(Number);
  if (major < oldestGlibc[0] || (major === oldestGlibc[0] && minor < oldestGlibc[1])) return unfit(`its glibc is ${look.glibc}, and ${oldestGlibc.join('.')} is the oldest that will do`);
  if (look.systemd === null) return unfit('it is not run by systemd');
  if (look.systemd < oldestSystemd) return unfit(`its systemd is ${look.systemd}, and ${oldestSystemd} is the oldest that will do`);
  const tight = look.space.find(({ freeBytes }) => freeBytes < needBytes);
  if (tight !== undefined) return unfit(`${tight.path} has ${mib(tight.freeBytes)} free and ${mib(needBytes)} are needed`);
  return { kind: 'fit', platform };
}

const mib = (bytes: number): string => `${Math.floor(bytes / 1048576)} MiB`;
