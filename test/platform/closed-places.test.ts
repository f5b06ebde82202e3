/**
 * A share, an object storage, a directory and a name server on machines of their own, a MongoDB host and a gateway: default-drop
 * firewalls on all of them, opened by nothing but the rules that `ports export` printed.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hashAll } from '../../src/mongo/dbhash.ts';
import { adPassword, domain, openActiveDirectory, whyNoActiveDirectory, type ActiveDirectory } from '../kit/active-directory.ts';
import { whyNoDnsmasq } from '../kit/dnsmasq.ts';
import { openHostedPlatform, whyNoWholeHosts, type HostedPlatform, type HostedSet } from '../kit/hosted-platform.ts';
import { whyNoNetwork, type TestMachine } from '../kit/namespaces.ts';
import { openObjectStore, whyNoObjectStore, type ObjectStore } from '../kit/object-store.ts';
import { openSamba, sharePassword, shareUser, whyNoSamba } from '../kit/samba.ts';
import { openTestAuthority } from '../kit/test-authority.ts';

const skip = whyNoWholeHosts() ?? whyNoNetwork() ?? whyNoDnsmasq() ?? whyNoActiveDirectory() ?? whyNoObjectStore() ?? (whyNoSamba() === false ? undefined : String(whyNoSamba()));
const zone = 'tide.test';
const password = 'Violet-Lantern-77';
const operators = `CN=Operators,${domain.people}`;

const stack = new AsyncDisposableStack();
let hosted: HostedPlatform;
let set: HostedSet;
/** What each machine was told to let in. */
const rulesOf = new Map<string, string[]>();
let startedMs: number;
let secrets: (name: string, text: string) => string;

before(async () => {
  if (skip !== undefined) return;
  startedMs = performance.now();
  const directory = mkdtempSync(join(tmpdir(), 'tm-closed-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  secrets = (name, text) => {
    writeFileSync(join(directory, name), `${text}\n`, { mode: 0o600 });
    return join(directory, name);
  };
  const servers = new AsyncDisposableStack();
  let places: Promise<[ObjectStore, { caPem: string }, void]> | undefined;
  const serve = async (beside: Readonly<Record<string, TestMachine>>, addresses: Readonly<Record<string, string>>): Promise<void> => {
    const records = Object.entries(addresses).map(([name, address]) => `--host-record=${name},${address}`);
    const fixed = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-interfaces', `--listen-address=${beside['ns']!.address}`, `--pid-file=${join(directory, 'dnsmasq.pid')}`, '--user=root', '--log-facility=-', `--local=/${zone}/`, '--local=/arpa/'];
    await beside['ns']!.start('/usr/sbin/dnsmasq', [...fixed, ...records], { ready: /started/ });
    places = Promise.all([
      openObjectStore({ machine: beside['bucket']! }).then((store) => servers.use(store)),
      openPeople(beside['dc']!).then(({ caPem, ...ends }) => {
        servers.use(ends);
        return { caPem };
      }),
      openSamba({ after: (work) => servers.defer(async () => void (await work())) }, { machine: beside['share']!, port: 445 }).then(() => undefined),
    ]);
    places.catch(() => {});
  };
  hosted = stack.use(await openHostedPlatform(['db', 'gate'], { restores: ['db'], sizeMb: 1200, beside: ['share', 'bucket', 'dc', 'ns'], names: { server: 'ns', zone, serve } }));
  stack.use(servers);
  set = stack.use(await hosted.startSet(['db'], { flags: ['--syncdelay', '600'] }));
  const [store, { caPem }] = await places!;
  await protect(store);
  await setDirectory(caPem);
  await closeEverything();
});
after(async () => await stack[Symbol.asyncDispose]());

async function openPeople(machine: TestMachine): Promise<AsyncDisposable & { caPem: string }> {
  const authority = await openTestAuthority();
  const identity = await authority.issue('server', 'dc', [`dc.${zone}`]);
  const user = (name: string) => ({ dn: `CN=${name},${domain.people}`, objectClass: 'user', sAMAccountName: name, userPrincipalName: `${name}@${domain.realm}`, userAccountControl: '66048', unicodePwd: adPassword(password) });
  const directory: ActiveDirectory = await openActiveDirectory(machine, identity, [
    { dn: domain.people, objectClass: 'organizationalUnit' },
    { dn: domain.computers, objectClass: 'organizationalUnit' },
    user('anna'),
    user('svc_backup'),
    { dn: operators, objectClass: 'group', sAMAccountName: 'Operators', member: `CN=anna,${domain.people}` },
    ...['db', 'gate'].map((name) => ({ dn: `CN=${name},${domain.computers}`, objectClass: 'computer', sAMAccountName: `${name}$`, dNSHostName: `${name}.${zone}`, userAccountControl: '4128' })),
  ], { stored: `dn: CN=anna,${domain.people}\nchangetype: modify\nreplace: description\ndescription: operator\n` });
  return {
    caPem: identity.caPem,
    async [Symbol.asyncDispose]() {
      await directory[Symbol.asyncDispose]();
      await authority[Symbol.asyncDispose]();
    },
  };
}

const ways = ['share', 'share-gate', 'bucket', 'bucket-gate'] as const;

/** The same set can go to each: straight, and by the gateway alone. */
async function protect(store: ObjectStore): Promise<void> {
  const location = await store.bucket('backup');
  const passphrase = secrets('passphrase', 'a passphrase for all of them');
  const share = ['--share-user', shareUser, '--share-password-file', secrets('share', sharePassword)];
  const bucket = ['--access-key', location.accessKeyId, '--secret-key-file', secrets('key', store.secret)];
  const add = async (name: (typeof ways)[number]): Promise<void> => {
    const [place, key] = name.startsWith('share') ? [`smb://share.${zone}/plain/${name}`, share] : [`s3:http://bucket.${zone}:${store.port}/backup/${name}`, bucket];
    await hosted.platform.ok('repository', 'add', name, place, ...key, '--passphrase-file', passphrase, ...(name.endsWith('-gate') ? ['--gateway', 'gate'] : ['--node', 'db']));
  };
  await Promise.all(ways.map(add));
  const orders = set.client.db('shop').collection<{ _id: number; text: string }>('orders');
  await orders.insertMany(Array.from({ length: 3_000 }, (_, n) => ({ _id: n, text: `order ${n}`.repeat(20) })), { writeConcern: { w: 'majority' } });
  await hosted.platform.ok('set', 'add', set.uri, '--repository', ways[0]);
}

async function setDirectory(caPem: string): Promise<void> {
  const words = ['--base', domain.base, '--domain', domain.netbios, '--bind-user', `svc_backup@${domain.realm}`, '--bind-password-file', secrets('svc', password), '--role', `${operators}=backup-operator`];
  await hosted.platform.ok('directory', 'set', '--directory-server', `dc.${zone}`, '--directory-ca-file', secrets('ca.pem', caPem), ...words);
}

const nft = async (machine: string, text: string): Promise<void> => {
  const name = machine.replace(`.${zone}`, '');
  const outside = Object.values(hosted.beside).find((one) => one.name === name || one.address === machine);
  const host = machine === hostname() ? hosted.tide : hosted.hosts[name];
  const { code, stderr } = outside === undefined ? await host!.run('nft', ['-f', '-'], { input: text }) : await outside.run('nft', ['-f', '-'], text);
  assert.equal(code, 0, `${machine}: ${stderr}`);
};

/** Beside the exported rules only this test gets in, and at the name server the hosts, whose own business names are. */
async function closeEverything(): Promise<void> {
  const { texts } = (await hosted.platform.ok('ports', 'export', '--format', 'nftables')) as { texts: { machine: string; text: string }[] };
  const { db, gate } = hosted.hosts;
  const { share, dc, ns } = hosted.beside;
  assert.deepEqual(texts.map(({ machine }) => machine).sort(), [hostname(), 'local', 'db', 'gate', `share.${zone}`, `bucket.${zone}`, `dc.${zone}`, ns!.address].filter((name) => name !== 'local').sort());
  const test = hosted.tide.address.replace(/\d+$/, '1');
  for (const { machine, text } of texts) {
    rulesOf.set(machine, text.split('\n'));
    const own = machine === ns!.address ? `ip saddr { ${db!.address}, ${gate!.address} } udp dport 53 accept;` : '';
    await nft(machine, text);
    await nft(machine, `table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n ${own} ip saddr ${test} accept;\n jump tidemark\n }\n}\n`);
  }
  const isOpen = async (address: string, port: number): Promise<boolean> => (await db!.run('timeout', ['1', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`])).code === 0;
  const closed = [[dc!.address, 389], [share!.address, 139], [gate!.address, 6162]] as const;
  assert.deepEqual(await Promise.all(closed.map(async ([address, port]) => await isOpen(address, port))), [false, false, false], 'what is not in the plan is closed');
}

type Row = { row: number; from: { name: string }; to: { name: string }; protocol: string; ports: { from: number; to: number }[]; outcome: string; says: string };
type Check = { rows: Row[]; names: { machine: string; kind: string; says: string }[] };
const check = async (): Promise<Check> => (await hosted.platform.tidemark('ports', 'check', '--wait', '2')).json as Check;
const show = ({ row, from, to, protocol, ports }: Row): string => `${row} ${from.name} > ${to.name} ${protocol} ${ports.map((range) => (range.from === range.to ? String(range.from) : `${range.from}-${range.to}`)).join(', ')}`;
const outcomesOf = ({ rows }: Check): Map<string, string> => new Map(rows.map((row) => [show(row), row.outcome]));

test('every row is good that leads to a service which is there, and each name is known both ways', { skip, timeout: 280_000 }, async (t) => {
  t.diagnostic(`everything was there and closed after ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  const { rows, names } = await check();
  const bad = rows.filter(({ outcome }) => outcome !== 'good').map((row) => `${show(row)}: ${row.outcome}`);
  // No deployer runs on these hosts, the server's own transport listens on loopback, and nobody is asked in the name of operators.
  assert.deepEqual(bad.filter((line) => !/^(2|10) .*6160.*: refused$|^19 /.test(line)), []);
  const good = rows.filter(({ outcome }) => outcome === 'good').map(({ row }) => row);
  for (const row of [3, 9, 11, 15, 16, 17, 18, 21]) assert.ok(good.includes(row), `row ${row} is among ${good.join(', ')}`);
  assert.deepEqual(names.filter(({ machine, kind }) => ['db', 'gate'].includes(machine) && kind !== 'good'), []);
  assert.equal(names.filter(({ machine }) => ['db', 'gate'].includes(machine)).length, 4);
});

test('a user of the directory signs in, and the computers of an OU are found', { skip, timeout: 60_000 }, async () => {
  const out = secrets('token', '');
  const signedIn = await hosted.platform.ok('login', 'COMPAD\\anna', '--password-file', secrets('anna', password), '--out', out, '--ca-file', join(hosted.platform.dataDir, 'ca.pem'));
  assert.deepEqual([signedIn.user, signedIn.roles], ['anna@comp.test', ['backup-operator']]);
  const { computers } = (await hosted.platform.ok('directory', 'computers', '--base', domain.computers)) as { computers: { address: string }[] };
  assert.deepEqual(computers.map(({ address }) => address).sort(), [`db.${zone}`, `gate.${zone}`]);
});

for (const [n, name] of ways.entries()) {
  test(`backup, proof and restore of a collection: ${name.startsWith('share') ? 'a share' : 'a bucket'}, ${name.endsWith('-gate') ? 'through the gateway' : 'straight'}`, { skip, timeout: 280_000 }, async () => {
    if (n > 0) {
      await hosted.platform.ok('set', 'remove', 'rs0', '--apply');
      await hosted.platform.ok('set', 'add', set.uri, '--repository', name);
    }
    const made = await hosted.platform.ok('backup', 'run', 'rs0', '--window-seconds', '600');
    assert.equal(made.verified, true);
    const wanted = await hashAll(set.client);
    await set.client.db('shop').collection('orders').drop({ writeConcern: { w: 'majority' } });
    const restored = await hosted.platform.ok('restore', 'collections', 'rs0', '--at', String(made.point), '--ns', 'shop.orders', '--apply');
    assert.equal(restored.applied, true);
    assert.deepEqual(await hashAll(set.client), wanted);
  });
}

type Firewall = { readonly machine: string; readonly lines: readonly string[]; readonly rules: readonly { readonly at: number; readonly closed: string }[] };

function firewalls(): Firewall[] {
  return [...rulesOf].map(([machine, lines]) => ({
    machine,
    lines,
    rules: lines.flatMap((line, at) => {
      const rule = /^\t\tip saddr \S+ (tcp|udp) dport (.*) accept comment "row (\d+) (\S+): /.exec(line);
      return rule === null ? [] : [{ at, closed: `${rule[3]} ${rule[4]} > ${machine} ${rule[1]} ${rule[2]!.replace(/[{}]/g, '').trim()}` }];
    }),
  }));
}

/** What the check says otherwise than usual while these rules are not there. */
async function without(out: readonly { machine: string; lines: readonly string[]; at: number }[], usual: ReadonlyMap<string, string>): Promise<{ changed: string[]; names: Check['names'] }> {
  for (const { machine, lines, at } of out) await nft(machine, lines.toSpliced(at, 1).join('\n'));
  const now = await check();
  for (const { machine, lines } of out) await nft(machine, lines.join('\n'));
  return { changed: [...outcomesOf(now)].filter(([row, outcome]) => outcome !== usual.get(row)).map(([row, outcome]) => `${row}: ${outcome}`).sort(), names: now.names };
}

test('with any one rule taken out, the check names exactly that row', { skip, timeout: 280_000 }, async (t) => {
  const usual = outcomesOf(await check());
  const ns = hosted.beside['ns']!.address;
  const [others, [names]] = [firewalls().filter(({ machine }) => machine !== ns), firewalls().filter(({ machine }) => machine === ns)];
  const taken: string[] = [];
  // One rule of each machine at a time: a rule says nothing of what goes to another machine.
  for (let turn = 0; others.some(({ rules }) => turn < rules.length); turn++) {
    const out = others.flatMap(({ machine, lines, rules }) => rules.slice(turn, turn + 1).map((rule) => ({ machine, lines, ...rule })));
    assert.deepEqual((await without(out, usual)).changed, out.map(({ closed }) => `${closed}: timed-out`).sort());
    taken.push(...out.map(({ closed }) => closed));
  }
  t.diagnostic(taken.sort().join('; '));
  for (const row of [3, 9, 11, 15, 16, 17, 21]) assert.ok(taken.some((one) => one.startsWith(`${row} `)), `row ${row}`);

  const [overUdp, overTcp] = ['udp', 'tcp'].map((protocol) => names!.rules.find(({ closed }) => closed.endsWith(`${protocol} 53`))!);
  assert.deepEqual((await without([{ ...names!, ...overTcp! }], usual)).changed, [`${overTcp!.closed}: timed-out`]);
  const dumb = await without([{ ...names!, ...overUdp! }], usual);
  // Whatever is dialled by a name says why it is not reached, and the row that is closed says that.
  assert.deepEqual(dumb.changed.filter((line) => !/ > \S+\.test |name-not-resolved$| > [\d.]+ .*good$/.test(line)), [`${overUdp!.closed}: timed-out`]);
  assert.ok(dumb.names.some(({ kind, machine }) => kind === 'server-dead' && machine === ns), JSON.stringify(dumb.names));
  assert.deepEqual(outcomesOf(await check()), usual, 'all is well again');
});
