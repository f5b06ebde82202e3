/** The replica set that a fake transport knows, and its machine. */
import type { HostLook } from '../../src/contract/host-look.ts';
import type { Discovered, SetLook } from '../../src/contract/values.ts';

export const setId = '65a1b2c3d4e5f60718293a4b';

export function usualSet(): Discovered {
  const member = (id: number, state: 'primary' | 'secondary') => ({ id, host: '127.0.0.1', port: 27017 + id, state, health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: state === 'primary' ? null : 0.5, isArbiter: false });
  const local = (id: number) => ({ member: `127.0.0.1:${27017 + id}`, dbPath: `/data/${id}`, fileSystem: 'xfs', methods: [{ method: 'clone' as const, possible: true, why: 'reflink' }], binary: '/usr/bin/mongod' });
  return {
    setId,
    name: 'rs0',
    mongoVersion: '6.0.5',
    featureCompatibilityVersion: '6.0',
    members: [member(0, 'primary'), member(1, 'secondary'), member(2, 'secondary')],
    local: [local(0), local(1), local(2)],
  };
}

/** The same set as it is seen over the wire. */
export function wireLookOf({ setId: id, name, featureCompatibilityVersion, mongoVersion, members }: Discovered): SetLook {
  return { setId: id, name, featureCompatibilityVersion, members: members.map((member) => ({ ...member, isArbiter: member.state === 'arbiter', tags: {}, version: mongoVersion, oplogSeconds: 3_600, oplogReachSeconds: 7_200, says: null })) };
}

export function machineLook(hostname: string, mongods: HostLook['mongods'] = []): HostLook {
  return { hostname, system: 'Linux', kernel: 'Linux 6', machine: 'x86_64', glibc: '2.36', systemd: 252, asRoot: true, space: [], mongods };
}
