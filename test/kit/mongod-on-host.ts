import { MongoClient } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { findMongod } from './mongod.ts';
import type { WholeHost } from './whole-host.ts';

/** A set of one member on a whole host, with some orders in it, run by a user of its own whose files nobody else may read. */
export async function startMongodOn(host: WholeHost): Promise<void> {
  host.copyIn((await findMongod()).path, '/usr/bin/mongod');
  await host.ok('useradd', ['--system', '--no-create-home', 'mongod']);
  await host.ok('install', ['-d', '-o', 'mongod', '-m', '700', '/srv/mongod']);
  await host.ok('systemd-run', ['--quiet', '--unit=mongod', '--uid=mongod', 'mongod', '--dbpath', '/srv/mongod', '--port', '27117', '--bind_ip_all', '--replSet', 'rs0', '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false']);
  const client = await until('mongod', 30_000, async () => await MongoClient.connect(`mongodb://${host.address}:27117/?directConnection=true`, { serverSelectionTimeoutMS: 1_000 }).catch(() => undefined));
  try {
    await client.db('admin').command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: `${host.address}:27117` }] } });
    await until('a primary', 20_000, async () => ((await client.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined));
    await client.db('shop').collection('orders').insertMany(Array.from({ length: 1_000 }, (_, n) => ({ n, text: 'x'.repeat(200) })), { writeConcern: { w: 'majority', journal: true } });
  } finally {
    await client.close();
  }
}

/** Puts a program where hooks are looked for, as root does, and answers its name. */
export function putHook(host: WholeHost, name: string, text: string, mode = 0o755): string {
  host.write(`/etc/tidemark/hooks.d/${name}`, `#!/bin/sh\n${text}\n`, mode);
  return name;
}

/** Says who it is, what it was told, and which of some places it can write to. */
export const showingHook = `echo "user $(id -un), moment $TIDEMARK_HOOK, set $TIDEMARK_SET, state $TIDEMARK_STATE, argument $1"
grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -s '\\t\\n' ' '; echo
for place in /etc/tidemark /usr/local /opt/tidemark /root /home /srv /var/lib /var/lib/tidemark-transport /run/tidemark-transport /tmp; do
  if touch "$place/from-a-hook" 2>/dev/null; then echo "writes $place"; else echo "not $place"; fi
done
ls /srv/mongod >/dev/null 2>&1 && echo 'reads the data' || echo 'does not read the data'`;
