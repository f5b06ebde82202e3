import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { familyOf, firewallRules, ourMachines, outsideMachines, type MachineRules } from './firewall-rules.ts';
import { firewallCsv, firewallText, scriptFormats } from './firewall-text.ts';
import { usualSettings, type PlannedHost } from './port-inventory.ts';
import { planPorts } from './port-plan.ts';

const host = (name: string, addresses: string[], roles: PlannedHost['roles']): PlannedHost => ({
  name, dial: name, addresses, platform: 'linux', roles, sshPort: 22, deployerPort: 6160, controlPort: 6162, dataPorts: { from: 2500, to: 3300 }, singlePort: false, dialling: 'server',
});
const server = { name: 'tide', dial: 'tide', addresses: ['10.0.0.1'] };
const hosts = [host('db1', ['10.0.0.11', 'fd00::11'], ['mongodb']), host('store', ['10.0.0.21'], ['repository'])];
const plan = planPorts({ servers: [server], hosts, sets: [], settings: usualSettings });
const store = firewallRules(plan, ourMachines([server], hosts)).find(({ machine }) => machine === 'store')!;
const [, first] = firewallText('ufw', store).split('set -e\n');

test('nftables: a chain of its own that a default-drop chain jumps to', () => {
  assert.equal(
    firewallText('nftables', store),
    `#!/usr/sbin/nft -f
# Tidemark: what store lets in, from "tidemark ports export"
# Let your input chain jump here, once:
# nft insert rule inet filter input jump tidemark
table inet filter {
	chain tidemark {
	}
}
flush chain inet filter tidemark
table inet filter {
	chain tidemark {
		ct state established,related accept comment "answers to what this machine asked, DNS among them"
		iif "lo" accept
		icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
		icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
		ip saddr 10.0.0.1 tcp dport 22 accept comment "row 1 tide: SSH: first contact, deployment of the deployer service"
		ip saddr 10.0.0.1 tcp dport 6160 accept comment "row 2 tide: deployer service: inventory, install, update, remove"
		ip saddr 10.0.0.1 tcp dport 6162 accept comment "row 3 tide: transport service: control of movers and mongo agent"
		ip saddr 10.0.0.11 tcp dport 2500-3300 accept comment "row 13 db1: data channels, one port for each TCP connection"
		ip6 saddr fd00::11 tcp dport 2500-3300 accept comment "row 13 db1: data channels, one port for each TCP connection"
	}
}
`,
  );
});

test('iptables: one text for both families, in a chain of its own', () => {
  const text = firewallText('iptables', store);
  assert.match(text, /^\*filter\n:TIDEMARK - \[0:0\]\n-A TIDEMARK -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n/m);
  assert.match(text, /^-4 -A TIDEMARK -s 10\.0\.0\.11 -p tcp -m tcp --dport 2500:3300 -m comment --comment "row 13 db1: [^"]+" -j ACCEPT$/m);
  assert.match(text, /^-6 -A TIDEMARK -s fd00::11 -p tcp -m tcp --dport 2500:3300 /m);
  assert.match(text, /\nCOMMIT\n$/);
});

test('firewalld, ufw and netsh: their own words, with the source in each', () => {
  assert.match(firewallText('firewalld', store), /^firewall-cmd --permanent --zone="\$zone" --add-rich-rule='rule family="ipv4" source address="10\.0\.0\.11" port port="2500-3300" protocol="tcp" accept' {2}# row 13 /m);
  assert.equal(first!.split('\n')[0], "ufw allow proto tcp from 10.0.0.1 to any port 22 comment 'Tidemark row 1 tide: SSH: first contact, deployment of the deployer service'");
  assert.match(firewallText('ufw', store), /^ufw allow proto tcp from fd00::11 to any port 2500:3300 comment /m);
  assert.match(firewallText('netsh', store), /^netsh advfirewall firewall add rule name="Tidemark row 13 db1: [^"]+ ipv4" dir=in action=allow protocol=TCP localport=2500-3300 remoteip=10\.0\.0\.11$/m);
});

test('every rule of every format has a source: what has no known address stays closed and is named', () => {
  const bare = firewallRules(planPorts({ servers: [server], hosts: [hosts[1]!, host('db9', [], ['mongodb'])], sets: [], settings: usualSettings }), [server, ...hosts]);
  const closed = bare.find(({ machine }) => machine === 'store')!;
  assert.deepEqual(closed.closed.map(({ row, from }) => [row, from]), [[13, 'db9']]);
  for (const format of scriptFormats) {
    const text = firewallText(format, closed);
    assert.match(text, /row 13 stays closed: no address of db9 is known \(tcp 2500-3300\)/);
    assert.doesNotMatch(text.replace(/^(#|rem) .*$/gm, ''), /2500/);
  }
});

test('csv: one line for each rule, cells quoted where they must be, no formulas', () => {
  const lines = firewallCsv([store, { ...store, machine: '=cmd' }]).split('\r\n');
  assert.equal(lines[0], 'host,row,from,source,protocol,ports,purpose');
  assert.equal(lines[4], 'store,13,db1,10.0.0.11,tcp,2500-3300,"data channels, one port for each TCP connection"');
  assert.ok(lines[6]!.startsWith("'=cmd,"));
});

test('a hostile name stays a comment in every format', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.constantFrom(...scriptFormats), (name, format) => {
      const machine: MachineRules = { ...store, machine: `m${name}`, rules: store.rules.map((rule) => ({ ...rule, from: name, purpose: `${name}"; rm -rf / #'` })) };
      const [usual, hostile] = [firewallText(format, store), firewallText(format, machine)].map((text) => text.split('\n'));
      assert.equal(hostile!.length, usual!.length);
      const shape = (line: string): string => line.replace(/comment "[^"\n]*"|comment '[^'\n]*'|--comment "[^"\n]*"|name="[^"\n]*"|# .*$|^rem .*$/g, '…');
      assert.deepEqual(hostile!.map(shape), usual!.map(shape));
    }),
  );
});

test('a source is an address or a network and nothing else', () => {
  assert.deepEqual(['10.0.0.1', '10.0.0.0/8', 'fd00::/8', '::1'].map(familyOf), ['ipv4', 'ipv4', 'ipv6', 'ipv6']);
  assert.deepEqual(['db1', '10.0.0.1/33', '10.0.0.1 accept', 'fe80::1%eth0', '1.2.3.4/8/9', ''].map(familyOf), [undefined, undefined, undefined, undefined, undefined, undefined]);
});

test('a machine outside has its rules, under words that they are not all of its own; one that is a host of ours too has them there', () => {
  const at = (name: string, addresses: string[]) => ({ name, dial: name, addresses, gateway: null, keeper: null });
  const stores = [{ ...at('files', ['10.0.0.31']), kind: 'smb', port: 445, netbios: false }, { ...at('objects', ['10.0.0.21']), kind: 's3', port: 7480, tls: false }] as const;
  const withStores = planPorts({ servers: [server], hosts, sets: [], settings: { ...usualSettings, stores } });
  const ours = ourMachines([server], hosts);
  const outside = outsideMachines(withStores, ours);
  const rules = firewallRules(withStores, ours, outside);
  assert.deepEqual(rules.map(({ machine, isOutside }) => [machine, isOutside]), [['tide', false], ['db1', false], ['store', false], ['files', true]]);
  const text = firewallText('nftables', rules.at(-1)!);
  assert.match(text, /# Tidemark does not manage this machine: these are the rules for what is asked of it, beside its own\.\n/);
  assert.deepEqual(text.match(/^\t\tip saddr .*$/gm), ['\t\tip saddr 10.0.0.11 tcp dport 445 accept comment "row 15 db1: the host writes to the share"']);
  assert.match(firewallText('nftables', rules[2]!), /ip saddr 10\.0\.0\.11 tcp dport 7480 accept comment "row 21 /);
});
