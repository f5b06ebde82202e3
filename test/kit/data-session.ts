/** A data session on the loopback address: two hosts of one authority, an archive served by one and opened by the other. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { ChannelLocation } from '../../src/contract/values.ts';
import { openChannelStorage, type ChannelOptions, type ChannelStorage } from '../../src/mover/channel-storage.ts';
import { serveArchive, type ServedArchive, type ServeOptions } from '../../src/mover/serve-archive.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { openAuthority, type Authority } from '../../src/server/authority.ts';
import { freeRange } from './free-port.ts';

export const servedSet = 'a'.repeat(24);

export type Hosts = { readonly directory: string; readonly authority: Authority; readonly repository: LinkIdentity; readonly node: LinkIdentity };

export async function openHosts(t: TestContext): Promise<Hosts> {
  const directory = await mkdtemp(join(tmpdir(), 'tm-data-'));
  // A transport that is closed after this may still be making its folders.
  t.after(async () => await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const authority = await openAuthority(directory, systemClock, async () => {});
  const issue = async (name: string): Promise<LinkIdentity> => await authority.issue({ part: 'transport', name, hosts: ['127.0.0.1'] });
  return { directory, authority, repository: await issue('store1'), node: await issue('node1') };
}

export type DataSession = { readonly served: ServedArchive; readonly location: ChannelLocation; open(location?: Partial<ChannelLocation>, options?: ChannelOptions): Promise<ChannelStorage> };

/** Serves `hosts.directory`/store. Closed with the test. */
export async function openDataSession(t: TestContext, hosts: Hosts, options: Partial<ServeOptions> = {}): Promise<DataSession> {
  const ticket = randomBytes(32).toString('hex');
  const served = await serveArchive({
    storage: await openDirectory(join(hosts.directory, 'store'), { create: true }),
    setId: servedSet,
    right: 'append',
    identity: hosts.repository,
    peer: 'node1',
    ticket,
    host: '127.0.0.1',
    range: await freeRange(20),
    channels: 3,
    portWaitMs: 1_000,
    log: silentLog,
    ...options,
  });
  t.after(async () => await served.close());
  const location: ChannelLocation = { kind: 'channel', host: '127.0.0.1', name: 'store1', ports: [...served.ports], ticket: options.ticket ?? ticket, limits: [] };
  return {
    served,
    location,
    async open(changed = {}, channel = {}) {
      const storage = await openChannelStorage({ ...location, ...changed }, async () => hosts.node, channel);
      t.after(() => storage.close());
      return storage;
    },
  };
}

/** The names of the suite, as those of points, which a session may add, replace and take back as anywhere; points have no folders. */
export function asPoints(storage: Storage, root: string): Storage {
  const prefix = `${root}/points/`;
  const named = (name: string): string => {
    if (name.includes('_')) throw new Error(`${name} has a sign that stands for a slash`);
    return prefix + name.replaceAll('/', '_');
  };
  return {
    place: storage.place,
    async *list(wanted) {
      for await (const object of storage.list(named(wanted))) yield { ...object, name: object.name.slice(prefix.length).replaceAll('_', '/') };
    },
    stat: async (name) => {
      const found = await storage.stat(named(name));
      return found === undefined ? undefined : { ...found, name };
    },
    read: async (name, range) => await storage.read(named(name), range),
    put: async (name, bytes, how) => await storage.put(named(name), bytes, how),
    create: async (name) => await storage.create(named(name)),
    delete: async (name) => await storage.delete(named(name)),
    freeBytes: async () => await storage.freeBytes(),
  };
}

/** The names of the suite, as names below a prefix. */
export function below(storage: Storage, prefix: string): Storage {
  return {
    place: storage.place,
    async *list(wanted) {
      for await (const object of storage.list(prefix + wanted)) yield { ...object, name: object.name.slice(prefix.length) };
    },
    stat: async (name) => {
      const found = await storage.stat(prefix + name);
      return found === undefined ? undefined : { ...found, name };
    },
    read: async (name, range) => await storage.read(prefix + name, range),
    put: async (name, bytes, how) => await storage.put(prefix + name, bytes, how),
    create: async (name) => await storage.create(prefix + name),
    delete: async (name) => await storage.delete(prefix + name),
    freeBytes: async () => await storage.freeBytes(),
  };
}
