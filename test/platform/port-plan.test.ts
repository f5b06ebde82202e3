/** The port plan on machines of their own, with real firewalls and real services (test/kit/planned-network.ts). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MachineRules } from '../../src/domain/firewall-rules.ts';
import { firewallText } from '../../src/domain/firewall-text.ts';
import type { HostRole } from '../../src/domain/port-inventory.ts';
import type { PlanEntry } from '../../src/domain/port-plan.ts';
import { whyNoDnsmasq } from '../kit/dnsmasq.ts';
import { whyNoNetwork } from '../kit/namespaces.ts';
import { openPlannedNetwork, show, type PlannedNetwork, type Variation } from '../kit/planned-network.ts';

const skip = whyNoNetwork() ?? whyNoDnsmasq() ?? (existsSync('/usr/sbin/sshd') ? false : 'there is no sshd on this machine');

let planned: PlannedNetwork;
before(async () => {
  if (skip === false) planned = await openPlannedNetwork();
});
after(async () => {
  if (skip === false) await planned[Symbol.asyncDispose]();
});

const machines = ['tide', 'db1', 'db2', 'store'];
const entryOf = (row: number, from: string, to: string): PlanEntry => planned.plan.find((entry) => entry.row === row && entry.from.name === from && entry.to.name === to)!;
const only = async (entry: PlanEntry, options?: Parameters<PlannedNetwork['check']>[1]): Promise<string> => {
  const [finding] = await planned.check([entry], options);
  return `${finding!.outcome}: ${finding!.says}`;
};

test('without firewalls every row that can be tried is good', { skip }, async () => {
  const findings = await planned.check(planned.plan, { eachMs: 8_000 });
  assert.deepEqual(planned.badOf(planned.plan, findings), []);
  const untried = planned.plan.filter((_, at) => findings[at]!.outcome === 'not-tried').map(show);
  assert.deepEqual(untried, ['19 operators > tide 9419']);
  const met = (row: number, from: string): string => findings[planned.plan.indexOf(planned.plan.find((entry) => entry.row === row && entry.from.name === from)!)]!.says;
  assert.match(met(1, 'tide'), /^SSH-2\.0-OpenSSH/);
  assert.equal(met(3, 'tide'), 'transport db1');
  assert.match(met(12, 'tide'), /^MongoDB/);
  assert.equal(met(13, 'db1'), 'transport store');
});

test('each way in which a row can be closed is told from the others', { skip }, async () => {
  const [toDeployer, toStore] = [entryOf(2, 'tide', 'store'), entryOf(13, 'db1', 'store')];
  const onPort = (port: number): PlanEntry => ({ ...toDeployer, ports: [{ from: port, to: port }] });
  const dialling = (dial: string): PlanEntry => ({ ...toDeployer, to: { ...toDeployer.to, dial } });

  assert.equal(await only(toDeployer), 'good: server store');
  assert.match(await only(onPort(6999)), /^refused: nothing listens there/);
  assert.match(await only(onPort(22)), /^wrong-service: it does not speak TLS/);
  assert.match(await only({ ...entryOf(11, 'tide', 'db1'), ports: [{ from: 22, to: 22 }] }), /^wrong-service: it does not speak MongoDB; it said "SSH-2\.0/);
  assert.match(await only(onPort(6161)), /^tls-refused: its certificate is not one of this installation/);
  assert.match(await only(dialling('ghost.tide.test')), /^name-not-resolved: ghost\.tide\.test: no such name/);
  assert.match(await only(dialling('10.255.255.1')), /^no-route: no route to its network \(ENETUNREACH\)/);
  assert.match(await only(toStore, { without: 'store' }), /^no-link: store takes no orders from this server, so nobody listens there/);
  assert.match(await only(toStore, { without: 'db1' }), /^no-link: db1 takes no orders/);

  await planned.nft('store', 'table inet t {\n chain c {\n type filter hook input priority 0;\n tcp dport 6160 drop\n tcp dport 9380 reject with icmpx type admin-prohibited\n tcp dport 11731 reject with tcp reset\n }\n}\n');
  try {
    assert.equal(await only(toDeployer, { eachMs: 1_000 }), 'timed-out: no answer within 1 s');
    assert.match(await only(entryOf(7, 'tide', 'store')), /^no-route: the network or a firewall says that the host cannot be reached \(EHOSTUNREACH\)/);
    assert.match(await only(entryOf(5, 'tide', 'store')), /^refused: /);
  } finally {
    await planned.openFirewall('store');
  }
});

const without = (program: string): string | false => (skip === false && !existsSync(program) ? `there is no ${program} on this machine` : skip);

/** The rules of every machine, with addresses of both families; the repository's host is one on Windows besides. */
function bothFamilies(): readonly MachineRules[] {
  const { rules, plan } = planned.vary(({ addresses, name }) => ({ addresses: [...addresses, `fd00::${name.length}:${name.charCodeAt(2)}`], ...(name === 'store' && { platform: 'windows' as const }) }));
  assert.deepEqual([5, 6, 14].filter((row) => !plan.some((entry) => entry.row === row && entry.to.name === 'store')), []);
  assert.match(firewallText('nftables', rules.find(({ machine }) => machine === 'store')!), /ip6 saddr fd00::/);
  return rules;
}

test('nft reads the text for nftables', { skip }, async () => {
  for (const rules of bothFamilies()) {
    const { code, stderr } = await planned.network.machine('store').run('nft', ['-c', '-f', '-'], firewallText('nftables', rules));
    assert.equal(code, 0, stderr);
  }
});

test('iptables-restore and ip6tables-restore read the text for iptables', { skip: without('/usr/sbin/iptables-restore') }, async () => {
  for (const rules of bothFamilies()) {
    for (const program of ['iptables-restore', 'ip6tables-restore']) {
      const { code, stderr } = await planned.network.machine('store').run(program, ['--noflush', '--test'], firewallText('iptables', rules));
      assert.equal(code, 0, stderr);
    }
  }
});

test('ufw reads each line of the text for ufw', { skip: without('/usr/sbin/ufw') }, async () => {
  const text = firewallText('ufw', bothFamilies().find(({ machine }) => machine === 'store')!);
  const { code, stdout, stderr } = await planned.network.machine('store').run('sh', ['-e'], text.replace(/^ufw /gm, 'ufw --dry-run '));
  assert.equal(code, 0, `${stdout}${stderr}`);
});

test('firewalld reads each rule of the text for firewalld', { skip: without('/usr/bin/firewall-offline-cmd') }, async () => {
  for (const rules of bothFamilies()) {
    const text = firewallText('firewalld', rules);
    assert.equal((await planned.network.machine('store').run('sh', ['-n'], text)).code, 0);
    const wanted = [...text.matchAll(/--add-rich-rule='([^']+)'/g)].map((match) => `--add-rich-rule=${match[1]}`);
    const config = join(planned.directory, `firewalld-${rules.machine}`);
    mkdirSync(config);
    const { code, stderr } = await planned.network.machine('store').run('firewall-offline-cmd', [`--system-config=${config}`, '--zone=public', ...wanted]);
    assert.equal(code, 0, stderr);
  }
});

test('the text for iptables opens a default-drop firewall as far as the plan goes', { skip: without('/usr/sbin/iptables-restore') }, async () => {
  const store = planned.network.machine('store');
  const rules = planned.rules.find(({ machine }) => machine === 'store')!;
  const load = async (text: string): Promise<void> => assert.equal((await store.run('iptables-restore', ['--noflush'], text)).code, 0);
  await load(firewallText('iptables', rules));
  await load('*filter\n:INPUT DROP [0:0]\n-A INPUT -i mgmt0 -j ACCEPT\n-A INPUT -j TIDEMARK\nCOMMIT\n');
  try {
    const entries = planned.plan.filter(({ to }) => to.name === 'store');
    assert.deepEqual(planned.badOf(entries, await planned.check(entries)), []);
    assert.match(await only({ ...entryOf(2, 'tide', 'store'), ports: [{ from: 6161, to: 6161 }] }, { eachMs: 700 }), /^timed-out/);
  } finally {
    await load('*filter\n:INPUT ACCEPT [0:0]\n-F INPUT\n-F TIDEMARK\nCOMMIT\n');
    await planned.openFirewall('store');
  }
});

type Opening = { readonly at: number; readonly line: string; readonly closed: string };

/** The lines of a machine's firewall that open something, and the entry that is closed when one of them is not there. */
function openingsOf(machine: string, lines: readonly string[], isTaken: (row: number) => boolean): Opening[] {
  return lines.flatMap((line, at): Opening[] => {
    const rule = /^\t\tip saddr (\S+) tcp dport (.*) accept comment "row (\d+) (\w+): /.exec(line);
    return rule === null || !isTaken(Number(rule[3])) ? [] : [{ at, line, closed: `${rule[3]} ${rule[4]} > ${machine} ${rule[2]!.replace(/[{}]/g, '').trim()}` }];
  });
}

/**
 * Closes all firewalls but for the exported rules, looks, and takes the rules of these rows out by turns: one on each
 * machine at a time, because a rule says nothing of what goes to another machine.
 */
async function takeOutEachRule({ plan, rules }: Variation, isTaken: (row: number) => boolean): Promise<string[]> {
  const taken: string[] = [];
  const firewalls = rules.map((each) => {
    const lines = firewallText('nftables', each).split('\n');
    return { machine: each.machine, lines, openings: openingsOf(each.machine, lines, isTaken) };
  });
  for (const { machine, lines } of firewalls) await planned.closeFirewall(machine, lines.join('\n'));
  try {
    assert.deepEqual(planned.badOf(plan, await planned.check(plan, { eachMs: 8_000 })), []);
    for (let turn = 0; firewalls.some(({ openings }) => turn < openings.length); turn++) {
      const out: Opening[] = [];
      for (const { machine, lines, openings } of firewalls) {
        const opening = openings[turn];
        await planned.nft(machine, (opening === undefined ? lines : lines.toSpliced(opening.at, 1)).join('\n'));
        if (opening !== undefined) out.push(opening);
      }
      const wanted = out.map(({ closed }) => `${closed}: timed-out, no answer within 3 s`).sort();
      assert.deepEqual(planned.badOf(plan, await planned.check(plan)).sort(), wanted, `without: ${out.map(({ line }) => line.trim()).join('; ')}`);
      taken.push(...out.map(({ closed }) => closed));
    }
    for (const { machine, lines } of firewalls) await planned.nft(machine, lines.join('\n'));
    assert.deepEqual(planned.badOf(plan, await planned.check(plan, { eachMs: 8_000 })), [], 'all is well again');
    return taken;
  } finally {
    for (const machine of machines) await planned.openFirewall(machine);
  }
}

test('with default-drop firewalls opened by the exported rules every row is good, and with any one rule taken out the check names exactly that row', { skip }, async () => {
  assert.deepEqual(planned.rules.map(({ machine }) => machine), machines);
  const taken = await takeOutEachRule(planned, (row) => row !== 19);
  assert.equal(taken.length, planned.rules.flatMap(({ rules }) => rules).length - 1, 'each rule but that for operators, whom nobody can ask');
});

test('so it is where the server\'s machine has a repository of its own and another is in single-port mode', { skip }, async () => {
  const variation = planned.vary(({ name }) => (name === 'tide' ? { roles: ['repository'] } : name === 'store' ? { singlePort: true } : {}));
  const taken = await takeOutEachRule(variation, (row) => [4, 10, 20].includes(row));
  assert.deepEqual(taken.sort(), ['10 db1 > tide 6160, 6162', '10 db2 > tide 6160, 6162', '20 db1 > store 6162', '20 db2 > store 6162', '4 tide > db1 2500-3300', '4 tide > db2 2500-3300']);
});

test('and so it is with a gateway in front of a repository, and with a host that is only restored to', { skip }, async () => {
  const roles: Record<string, HostRole[]> = { tide: ['gateway'], db1: ['mongodb'], db2: ['target'], store: ['repository'] };
  const behind = planned.vary(({ name }) => ({ roles: roles[name]!, ...(name === 'store' && { ways: [{ gateways: ['tide'], hosts: null }] }) }), { sets: [] });
  assert.deepEqual((await takeOutEachRule(behind, (row) => [13, 16].includes(row))).sort(), ['13 tide > store 2500-3300', '16 db1 > tide 2500-3300', '16 db2 > tide 2500-3300']);
  const straight = planned.vary(({ name }) => ({ roles: name === 'tide' ? [] : roles[name]! }), { sets: [] });
  assert.deepEqual((await takeOutEachRule(straight, (row) => row >= 27)).sort(), ['27 tide > db2 22', '27 tide > db2 6160', '27 tide > db2 6162', '28 db2 > store 2500-3300']);
});

test('a range that is opened in part is not good', { skip }, async () => {
  const rules = planned.rules.find(({ machine }) => machine === 'store')!;
  await planned.closeFirewall('store', firewallText('nftables', rules).replaceAll('2500-3300', '2500-2600'));
  try {
    const [finding] = await planned.check([entryOf(13, 'db1', 'store')], { eachMs: 1_500 });
    assert.equal(finding!.outcome, 'timed-out');
    assert.ok(finding!.port! > 2600, `port ${finding!.port}`);
  } finally {
    await planned.openFirewall('store');
  }
});
