import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isSameMachine, usualSettings, type HostRole, type Inventory, type OutsideStore, type PlannedDirectory, type PlannedHost, type PlannedSet } from './port-inventory.ts';
import { planPorts, showPorts, subtract, type PlanEntry } from './port-plan.ts';

const address = (n: number): string => `10.0.0.${n}`;

function host(name: string, n: number, roles: readonly HostRole[], changes: Partial<PlannedHost> = {}): PlannedHost {
  return { name, dial: name, addresses: [address(n)], platform: 'linux', roles, sshPort: 22, deployerPort: 6160, controlPort: 6162, dataPorts: { from: 2500, to: 3300 }, singlePort: false, dialling: 'server', ...changes };
}

const server = { name: 'tide', dial: 'tide', addresses: [address(1)] };
const outside = (name: string, n: number, port: number) => ({ name, dial: name, addresses: [address(n)], port });

function inventory(hosts: readonly PlannedHost[], changes: Partial<Inventory> = {}): Inventory {
  return { servers: [server], hosts, sets: [], settings: usualSettings, ...changes };
}

const show = ({ row, from, to, protocol, ports, service, optional }: PlanEntry): string =>
  `${row} ${from.name} > ${to.name} ${protocol} ${showPorts(ports)} ${service}${optional ? ' optional' : ''}`;
const rowsOf = (given: Inventory, ...rows: number[]): string[] => planPorts(given).filter(({ row }) => rows.includes(row)).map(show);

const db1 = host('db1', 11, ['mongodb']);
const db2 = host('db2', 12, ['mongodb']);
const store = host('store', 21, ['repository']);
const set: PlannedSet = { name: 'rs0', members: [{ host: 'db1', port: 27017 }, { host: 'db2', port: 27100 }], seed: 'db2:27100' };
const settings = usualSettings;
const share: OutsideStore = { kind: 'smb', ...outside('nas', 40, 445), netbios: true, gateway: null, keeper: null };
const objects: OutsideStore = { kind: 's3', ...outside('s3', 60, 443), tls: true, gateway: null, keeper: null };
const directory: PlannedDirectory = { servers: [outside('ad', 50, 389)], encryption: 'starttls', isActiveDirectory: true };

const table: { rows: number[]; title: string; given: Inventory; expected: string[] }[] = [
  { rows: [1, 2, 3], title: 'the server reaches a host over SSH, its deployer and its transport', given: inventory([db1]), expected: ['1 tide > db1 tcp 22 ssh', '2 tide > db1 tcp 6160 tidemark', '3 tide > db1 tcp 6162 tidemark'] },
  { rows: [1, 2, 3], title: 'a host that was enrolled with a kit and dials itself needs no open port for orders', given: inventory([host('db1', 11, ['mongodb'], { sshPort: null, dialling: 'host' })]), expected: [] },
  { rows: [4], title: 'a server with a repository of its own sends data to the hosts', given: inventory([db1, host('tide', 1, ['repository'])]), expected: ['4 tide > db1 tcp 2500-3300 data'] },
  {
    rows: [5, 6, 7],
    title: 'a distribution server on Windows needs what Windows needs',
    given: inventory([host('win', 30, ['distribution'], { platform: 'windows', netbios: true })]),
    expected: ['5 tide > win tcp 11731 tidemark', '5 tide > win tcp 445 smb', '5 tide > win tcp 6160 tidemark', '5 tide > win tcp 135 tcp optional', '5 tide > win udp 137-138 silent', '5 tide > win tcp 139 tcp', '6 tide > win tcp 49152-65535 rpc optional', '7 tide > win tcp 9380 tidemark'],
  },
  { rows: [5, 6, 7], title: 'a distribution server on Linux has its API and its installer', given: inventory([host('depot', 30, ['distribution'])]), expected: ['5 tide > depot tcp 11731 tidemark', '7 tide > depot tcp 9380 tidemark'] },
  {
    rows: [5, 6],
    title: 'a host on Windows that its services are pushed to needs 445 and the installer\'s port, and may have the faster way',
    given: inventory([host('win', 30, ['repository'], { platform: 'windows', sshPort: null, isPushed: true })]),
    expected: ['5 tide > win tcp 445 smb', '5 tide > win tcp 11731 data', '5 tide > win tcp 135 tcp optional', '6 tide > win tcp 49152-65535 rpc optional'],
  },
  { rows: [1, 5], title: 'one that a kit was carried to needs none of them', given: inventory([host('win', 30, ['gateway'], { platform: 'windows', isPushed: false })]), expected: ['5 tide > win tcp 445 smb optional', '5 tide > win tcp 11731 data optional', '5 tide > win tcp 135 tcp optional'] },
  { rows: [2, 3, 6], title: 'a port of ours among the dynamic ones keeps its own row', given: inventory([host('win', 30, ['repository'], { platform: 'windows', deployerPort: 50_000 })]), expected: ['2 tide > win tcp 50000 tidemark', '3 tide > win tcp 6162 tidemark', '6 tide > win tcp 49152-49999, 50001-65535 rpc optional'] },
  { rows: [8], title: 'packages go from the distribution server to every other host', given: inventory([db1, host('depot', 30, ['distribution'])]), expected: ['8 depot > db1 tcp 22 ssh', '8 depot > db1 tcp 6160, 6162 tidemark'] },
  { rows: [8], title: 'a distribution server on the server\'s own machine opens nothing that rows 1 to 3 have', given: inventory([db1, host('tide', 1, ['distribution'])]), expected: [] },
  { rows: [9], title: 'every host calls the server', given: inventory([db1, store]), expected: ['9 db1 > tide tcp 10002, 10006 tidemark', '9 store > tide tcp 10002, 10006 tidemark'] },
  { rows: [10], title: 'hosts reach the services of a server that is a host itself', given: inventory([db1, host('tide', 1, ['repository'])]), expected: ['10 db1 > tide tcp 6160, 6162 tidemark'] },
  { rows: [11], title: 'a set is discovered through its seed', given: inventory([db1, db2], { sets: [set] }), expected: ['11 tide > db2 tcp 27100 mongod'] },
  { rows: [12], title: 'every other member is reached on the port it was found on', given: inventory([db1, db2], { sets: [set] }), expected: ['12 tide > db1 tcp 27017 mongod'] },
  { rows: [13], title: 'data goes from each MongoDB host to each repository host', given: inventory([db1, store]), expected: ['13 db1 > store tcp 2500-3300 data'] },
  { rows: [13], title: 'the host of a backup copy fetches from the repository that is copied', given: inventory([store, host('vault', 24, ['repository'], { copiesFrom: ['store'] })]), expected: ['13 vault > store tcp 2500-3300 data'] },
  { rows: [14], title: 'a repository on Windows has dynamic ports besides', given: inventory([db1, host('win', 22, ['repository'], { platform: 'windows' })]), expected: ['14 db1 > win tcp 2500-3300 data', '14 db1 > win tcp 49152-65535 rpc optional'] },
  { rows: [14, 20], title: 'and where its data channels come to one port, that and the dynamic ones', given: inventory([db1, host('win', 22, ['repository'], { platform: 'windows', singlePort: true })]), expected: ['14 db1 > win tcp 49152-65535 rpc optional', '20 db1 > win tcp 6162 tidemark'] },
  { rows: [16], title: 'a gateway on Windows in front of a share', given: inventory([db1, host('gate', 23, ['gateway'], { platform: 'windows' })], { settings: { ...settings, stores: [{ ...share, netbios: false, gateway: 'gate' }] } }), expected: ['16 db1 > gate tcp 2500-3300 data', '16 db1 > gate tcp 49152-65535 rpc optional', '16 gate > nas tcp 445 smb'] },
  { rows: [15], title: 'a host writes to a share itself', given: inventory([db1], { settings: { ...settings, stores: [share] } }), expected: ['15 db1 > nas tcp 445 smb', '15 db1 > nas udp 137-138 silent', '15 db1 > nas tcp 139 tcp'] },
  { rows: [15], title: 'with DNS names, and on another port, that port is all', given: inventory([db1, store], { settings: { ...settings, stores: [{ ...share, port: 4450, netbios: false }] } }), expected: ['15 db1 > nas tcp 4450 smb'] },
  { rows: [15, 16], title: 'or through a gateway in front of it', given: inventory([db1, host('gate', 23, ['gateway'])], { settings: { ...settings, stores: [{ ...share, netbios: false, gateway: 'gate' }] } }), expected: ['16 db1 > gate tcp 2500-3300 data', '16 gate > nas tcp 445 smb'] },
  { rows: [15, 16], title: 'a gateway with NetBIOS names asks for them itself, and one that has data of its own writes it itself', given: inventory([host('db1', 11, ['mongodb', 'gateway'], { singlePort: true }), db2], { settings: { ...settings, stores: [{ ...share, gateway: 'db1' }] } }), expected: ['16 db1 > nas tcp 445 smb', '16 db1 > nas udp 137-138 silent', '16 db1 > nas tcp 139 tcp', '16 db2 > db1 tcp 6162 tidemark'] },
  { rows: [13, 16], title: 'a repository behind a gateway is reached by the gateway alone', given: inventory([db1, host('gate', 23, ['gateway']), host('store', 21, ['repository'], { ways: [{ gateways: ['gate'], hosts: null }] })]), expected: ['13 gate > store tcp 2500-3300 data', '16 db1 > gate tcp 2500-3300 data'] },
  {
    rows: [13, 16, 20, 28],
    title: 'of two gateways either may be taken, the hosts that are not named go straight, and one port stands for the range',
    given: inventory([db1, db2, host('gate1', 23, ['gateway'], { singlePort: true }), host('gate2', 24, ['gateway']), host('new', 15, ['target']), host('store', 21, ['repository'], { ways: [{ gateways: ['gate1', 'gate2'], hosts: ['db1', 'store'] }] })]),
    expected: ['13 gate1 > store tcp 2500-3300 data', '13 gate2 > store tcp 2500-3300 data', '13 db2 > store tcp 2500-3300 data', '16 db1 > gate1 tcp 6162 tidemark', '16 db1 > gate2 tcp 2500-3300 data', '28 new > store tcp 2500-3300 data'],
  },
  { rows: [13, 16], title: 'of two repositories on a host, one may be behind a gateway', given: inventory([db1, host('gate', 23, ['gateway']), host('store', 21, ['repository'], { ways: [{ gateways: [], hosts: null }, { gateways: ['gate'], hosts: null }] })]), expected: ['13 db1 > store tcp 2500-3300 data', '13 gate > store tcp 2500-3300 data', '16 db1 > gate tcp 2500-3300 data'] },
  { rows: [17], title: 'a directory is asked as its settings say', given: inventory([], { settings: { ...settings, directory } }), expected: ['17 tide > ad tcp 389 ldap-starttls', '17 tide > ad udp 389 ldap optional'] },
  { rows: [17], title: 'or by LDAPS alone', given: inventory([], { settings: { ...settings, directory: { servers: [outside('ad1', 50, 636), outside('ad2', 51, 3269)], encryption: 'ldaps', isActiveDirectory: false } } }), expected: ['17 tide > ad1 tcp 636 ldaps', '17 tide > ad2 tcp 3269 ldaps'] },
  { rows: [17], title: 'or without encryption, where that was asked for', given: inventory([], { settings: { ...settings, directory: { ...directory, encryption: 'none', isActiveDirectory: false } } }), expected: ['17 tide > ad tcp 389 ldap'] },
  { rows: [18], title: 'names are asked for over UDP and TCP', given: inventory([], { settings: { ...settings, dnsServers: [outside('ns', 53, 53)] } }), expected: ['18 tide > ns udp 53 dns', '18 tide > ns tcp 53 dns'] },
  { rows: [19, 26], title: 'people and Prometheus come to the REST port', given: inventory([], { settings: { ...settings, operatorNetworks: ['10.9.0.0/16'], metricsNetworks: ['10.8.0.5'] } }), expected: ['19 operators > tide tcp 9419 tidemark', '26 prometheus > tide tcp 9419 tidemark'] },
  { rows: [13, 20], title: 'in single-port mode one port stands for the range', given: inventory([db1, host('store', 21, ['repository'], { singlePort: true })]), expected: ['20 db1 > store tcp 6162 tidemark'] },
  { rows: [21], title: 'objects go straight to the object storage', given: inventory([db1], { settings: { ...settings, stores: [objects] } }), expected: ['21 db1 > s3 tcp 443 https'] },
  { rows: [16, 21], title: 'or by way of a gateway, on the port of the endpoint', given: inventory([db1, host('gate', 23, ['gateway'])], { settings: { ...settings, stores: [{ ...objects, port: 7480, tls: false, gateway: 'gate' }] } }), expected: ['16 db1 > gate tcp 2500-3300 data', '21 gate > s3 tcp 7480 http'] },
  { rows: [21], title: 'the host that keeps a bucket\'s repository reaches it, too', given: inventory([db1, store], { settings: { ...settings, stores: [{ ...objects, keeper: 'store' }] } }), expected: ['21 db1 > s3 tcp 443 https', '21 store > s3 tcp 443 https'] },
  {
    rows: [22, 23, 24, 25, 31],
    title: 'the server reaches its catalog and every receiver of notifications, on its port and protocol',
    given: inventory([], { settings: { ...settings, postgresql: outside('pg', 61, 5432), mail: [{ ...outside('mail', 62, 587), protocol: 'tcp', service: 'smtp' }], syslog: [{ ...outside('log', 63, 514), protocol: 'udp', service: 'silent' }, { ...outside('log', 63, 6514), protocol: 'tcp', service: 'tcp' }], snmp: [{ ...outside('trap', 64, 162), protocol: 'udp', service: 'silent' }], webhooks: [{ ...outside('hook', 65, 443), protocol: 'tcp', service: 'https' }] } }),
    expected: ['22 tide > pg tcp 5432 postgresql', '23 tide > mail tcp 587 smtp', '24 tide > log udp 514 silent', '24 tide > log tcp 6514 tcp', '25 tide > trap udp 162 silent', '31 tide > hook tcp 443 https'],
  },
  { rows: [27, 28], title: 'a host that is only restored to has the same doors, and fetches from the repository', given: inventory([host('new', 15, ['target']), store]), expected: ['27 tide > new tcp 22 ssh', '27 tide > new tcp 6160 tidemark', '27 tide > new tcp 6162 tidemark', '28 new > store tcp 2500-3300 data'] },
  {
    rows: [30],
    title: 'a host without SSH fetches its first package, from the server or from the distribution server',
    given: inventory([db1, host('db2', 12, ['mongodb'], { sshPort: null }), host('depot', 30, ['distribution'])], { settings: { ...settings, isDepotHere: true } }),
    expected: ['30 db2 > depot tcp 11731 tidemark optional', '30 db2 > tide tcp 11731 tidemark optional'],
  },
  { rows: [29], title: 'members reach each other', given: inventory([db1, db2], { sets: [set] }), expected: ['29 db1 > db2 tcp 27100 mongod', '29 db2 > db1 tcp 27017 mongod'] },
];

for (const { rows, title, given, expected } of table) test(`row ${rows.join(', ')}: ${title}`, () => assert.deepEqual(rowsOf(given, ...rows), expected));

test('every row of the reference is in the table above', () => {
  const seen = new Set(table.flatMap(({ rows }) => rows));
  assert.deepEqual(Array.from({ length: 30 }, (_, n) => n + 1).filter((row) => !seen.has(row)), []);
});

test('a changed port shows at once, in every row that it is part of', () => {
  const moved = host('db1', 11, ['mongodb'], { sshPort: 2222, deployerPort: 7160, controlPort: 7162 });
  const plan = planPorts(inventory([moved, host('store', 21, ['repository'], { dataPorts: { from: 4000, to: 4009 } })], { settings: { ...settings, enrolmentPort: 20002, agentControlPort: 20006, restPort: 443, operatorNetworks: ['10.9.0.0/16'] } }));
  const text = plan.filter(({ from, to }) => from.name !== 'store' && (to.name !== 'store' || from.name === 'db1')).map(show);
  assert.deepEqual(text, ['1 tide > db1 tcp 2222 ssh', '2 tide > db1 tcp 7160 tidemark', '3 tide > db1 tcp 7162 tidemark', '9 db1 > tide tcp 20002, 20006 tidemark', '13 db1 > store tcp 4000-4009 data', '19 operators > tide tcp 443 tidemark']);
});

test('a member that only its own machine can reach needs no row, and one on no managed host is outside', () => {
  const local: PlannedSet = { name: 'a', members: [{ host: '127.0.0.1', port: 27017 }, { host: 'localhost', port: 27018 }] };
  assert.deepEqual(rowsOf(inventory([], { sets: [local] }), 11, 12, 29), []);
  const [entry] = planPorts(inventory([], { sets: [{ name: 'b', members: [{ host: 'mongo.example', port: 27017 }] }] }));
  assert.deepEqual([entry!.to.kind, entry!.to.dial, entry!.row], ['outside', 'mongo.example', 11]);
});

const anyHost = fc.record({
  n: fc.integer({ min: 1, max: 6 }),
  roles: fc.subarray<HostRole>(['mongodb', 'repository', 'gateway', 'distribution', 'target']),
  platform: fc.constantFrom('linux' as const, 'windows' as const),
  sshPort: fc.option(fc.constantFrom(22, 6162), { nil: null }),
  singlePort: fc.boolean(),
  dialling: fc.constantFrom('server' as const, 'host' as const),
  dataPorts: fc.constantFrom({ from: 2500, to: 3300 }, { from: 6100, to: 6200 }),
  ways: fc.constantFrom(undefined, [{ gateways: ['h3'], hosts: null }], [{ gateways: ['h3', 'h4'], hosts: ['h1'] }, { gateways: [], hosts: null }]),
});
const anyInventory = fc
  .record({ hosts: fc.uniqueArray(anyHost, { selector: ({ n }) => n, maxLength: 6 }), members: fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 5 }), storeGateway: fc.constantFrom(null, 'h2'), port: fc.constantFrom(445, 2600) })
  .map(({ hosts, members, storeGateway, port }) =>
    inventory(
      hosts.map(({ n, roles, ...changes }) => host(`h${n}`, n, roles, changes as Partial<PlannedHost>)),
      { sets: [{ name: 'rs', members: members.map((n) => ({ host: address(n), port: 27017 })) }], settings: { ...settings, stores: [{ ...share, port, gateway: storeGateway }, { ...objects, gateway: storeGateway }], directory, operatorNetworks: ['10.9.0.0/16'] } },
    ),
  );

test('no machine needs a firewall to reach itself, and every port between two machines has one entry that opens it', () => {
  fc.assert(
    fc.property(anyInventory, (given) => {
      const plan = planPorts(given);
      for (const [at, entry] of plan.entries()) {
        assert.ok(!isSameMachine(entry.from, entry.to), show(entry));
        for (const other of plan.slice(at + 1)) {
          if (entry.protocol !== other.protocol || !isSameMachine(entry.from, other.from) || !isSameMachine(entry.to, other.to)) continue;
          assert.deepEqual(subtract(entry.ports, other.ports), entry.ports, `${show(entry)} and ${show(other)}`);
        }
      }
    }),
  );
});

test('taking ranges out of ranges leaves exactly the other ports', () => {
  const range = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 10 })).map(([from, more]) => ({ from, to: from + more }));
  const ports = (ranges: readonly { from: number; to: number }[]): Set<number> => new Set(ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, n) => from + n)));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 3 }), fc.array(range, { maxLength: 3 }), (wanted, taken) => {
      const expected = ports(wanted).difference(ports(taken));
      assert.deepEqual([...ports(subtract(wanted, taken))].sort((a, b) => a - b), [...expected].sort((a, b) => a - b));
    }),
  );
});
