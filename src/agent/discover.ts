import type { Discovered, MongoTarget } from '../contract/values.ts';
import { hostLabel, labelOf, openClient, toMember } from '../mongo/connect.ts';
import { probeCopy } from '../mongo/copy/ladder.ts';
import { findLocalMongod } from '../mongo/local-mongod.ts';
import { requireRights, rightsToCopy, rolesToProtect } from '../mongo/rights.ts';
import { discoverSet } from '../mongo/topology.ts';

/** A replica set through any of its members, and what of it runs on this host. */
export async function discover(target: MongoTarget, copies: string): Promise<Discovered> {
  await using client = await openClient(target);
  await requireRights(client, labelOf(target), rightsToCopy, rolesToProtect);
  const set = await discoverSet(client);
  const local: Discovered['local'] = [];
  for (const member of set.members) {
    if (member.state !== 'primary' && member.state !== 'secondary') continue;
    const address = { host: member.host, port: member.port };
    const mongod = await findLocalMongod(address);
    if (mongod === undefined) continue;
    await using direct = await openClient(toMember(target, address), { member: address });
    const { ways } = await probeCopy({ client: direct, local: mongod, workDirectory: copies });
    local.push({ member: hostLabel(address), dbPath: mongod.dbPath, fileSystem: mongod.fileSystem, methods: [...ways], binary: mongod.binary });
  }
  const members = set.members.map(({ id, host, port, state, health, priority, votes, hidden, delaySeconds, lagSeconds, isArbiter }) => ({ id, host, port, state, health, priority, votes, hidden, delaySeconds, lagSeconds, isArbiter }));
  return { setId: set.setId, name: set.name, mongoVersion: set.mongoVersion, featureCompatibilityVersion: set.featureCompatibilityVersion, members, local };
}
