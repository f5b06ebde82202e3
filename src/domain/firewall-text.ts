/**
 * Rules as texts that the firewalls of this world read. Each can be loaded again and again. Those for nftables and
 * iptables replace what they put there before; the others add. None sets a policy, so loading one locks nobody out.
 *
 * Names come from operators and machines: outside of `clean` none is put into a text.
 */
import type { FirewallRule, MachineRules } from './firewall-rules.ts';
import type { PortRange } from './port-inventory.ts';
import { showPorts } from './port-plan.ts';

export const scriptFormats = ['nftables', 'iptables', 'firewalld', 'ufw', 'netsh'] as const;
export type ScriptFormat = (typeof scriptFormats)[number];

export function firewallText(format: ScriptFormat, machine: MachineRules): string {
  return `${writers[format](machine).join('\n')}\n`;
}

export function firewallCsv(machines: readonly MachineRules[]): string {
  const rows = machines.flatMap(({ machine, rules }) =>
    rules.map(({ row, from, sources, protocol, ports, purpose }) => [machine, String(row), from, sources.join(' '), protocol, showPorts(ports).replaceAll(',', ''), purpose]),
  );
  const lines = [['host', 'row', 'from', 'source', 'protocol', 'ports', 'purpose'], ...rows].map((cells) => cells.map(csvCell).join(','));
  return `${lines.join('\r\n')}\r\n`;
}

/** Spreadsheets take what begins with one of `=+-@` for a formula. */
function csvCell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

const writers: Record<ScriptFormat, (machine: MachineRules) => string[]> = {
  nftables: (machine) => [
    '#!/usr/sbin/nft -f',
    ...header('#', machine, ['Let your input chain jump here, once:', 'nft insert rule inet filter input jump tidemark']),
    'table inet filter {',
    '\tchain tidemark {',
    '\t}',
    '}',
    'flush chain inet filter tidemark',
    'table inet filter {',
    '\tchain tidemark {',
    '\t\tct state established,related accept comment "answers to what this machine asked, DNS among them"',
    '\t\tiif "lo" accept',
    '\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } accept',
    '\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept',
    ...machine.rules.map((rule) => {
      const source = `${rule.family === 'ipv4' ? 'ip' : 'ip6'} saddr ${setOf(rule.sources)}`;
      return `\t\t${source} ${rule.protocol} dport ${setOf(rule.ports.map((range) => portsOf(range, '-')))} accept comment "${label(rule).slice(0, 120)}"`;
    }),
    '\t}',
    '}',
  ],

  iptables: (machine) => [
    ...header('#', machine, ['Load with both, in this way:', 'iptables-restore --noflush FILE; ip6tables-restore --noflush FILE', 'Let your INPUT chain jump here, once:', 'iptables -I INPUT -j TIDEMARK; ip6tables -I INPUT -j TIDEMARK']),
    '*filter',
    ':TIDEMARK - [0:0]',
    '-A TIDEMARK -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    '-A TIDEMARK -i lo -j ACCEPT',
    '-6 -A TIDEMARK -p ipv6-icmp -j ACCEPT',
    ...machine.rules.flatMap((rule) =>
      rule.sources.flatMap((source) =>
        rule.ports.map((range) => `${rule.family === 'ipv4' ? '-4' : '-6'} -A TIDEMARK -s ${source} -p ${rule.protocol} -m ${rule.protocol} --dport ${portsOf(range, ':')} -m comment --comment "${label(rule)}" -j ACCEPT`),
      ),
    ),
    'COMMIT',
  ],

  firewalld: (machine) => [
    '#!/bin/sh',
    ...header('#', machine, ['firewalld itself lets answers and loopback in. ZONE is the zone of the interface; the default zone unless given.']),
    'set -e',
    'zone="${ZONE:-$(firewall-cmd --get-default-zone)}"',
    ...machine.rules.flatMap((rule) =>
      rule.sources.flatMap((source) =>
        rule.ports.map(
          (range) =>
            `firewall-cmd --permanent --zone="$zone" --add-rich-rule='rule family="${rule.family}" source address="${source}" port port="${portsOf(range, '-')}" protocol="${rule.protocol}" accept'  # ${label(rule)}`,
        ),
      ),
    ),
    'firewall-cmd --reload',
  ],

  ufw: (machine) => [
    '#!/bin/sh',
    ...header('#', machine, ['ufw itself lets answers and loopback in.']),
    'set -e',
    ...machine.rules.flatMap((rule) =>
      rule.sources.map((source) => `ufw allow proto ${rule.protocol} from ${source} to any port ${rule.ports.map((range) => portsOf(range, ':')).join(',')} comment 'Tidemark ${label(rule)}'`),
    ),
  ],

  netsh: (machine) => [
    '@echo off',
    ...header('rem', machine, ['Run as administrator. Windows itself lets answers and loopback in.']),
    ...machine.rules.flatMap((rule) => {
      const name = `name="Tidemark ${label(rule)} ${rule.family}"`;
      const ports = rule.ports.map((range) => portsOf(range, '-')).join(',');
      return [
        `netsh advfirewall firewall delete rule ${name} dir=in >nul 2>nul`,
        `netsh advfirewall firewall add rule ${name} dir=in action=allow protocol=${rule.protocol.toUpperCase()} localport=${ports} remoteip=${rule.sources.join(',')}`,
      ];
    }),
  ],
};

function header(mark: string, { machine, isOutside, closed }: MachineRules, lines: readonly string[]): string[] {
  const stays = closed.map(({ row, from, protocol, ports }) => `row ${row} stays closed: no address of ${clean(from)} is known (${protocol} ${showPorts(ports)})`);
  const beside = isOutside ? ['Tidemark does not manage this machine: these are the rules for what is asked of it, beside its own.'] : [];
  return [`Tidemark: what ${clean(machine)} lets in, from "tidemark ports export"`, ...beside, ...lines, ...stays].map((line) => `${mark} ${line}`);
}

function label({ row, from, purpose }: FirewallRule): string {
  return clean(`row ${row} ${from}: ${purpose}`);
}

/** Letters, digits and what no firewall, shell or editor takes for more than itself. */
function clean(text: string): string {
  return text.replace(/[^A-Za-z0-9 ._:,()/-]+/g, '_').slice(0, 200);
}

function setOf(items: readonly string[]): string {
  return items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`;
}

function portsOf({ from, to }: PortRange, between: string): string {
  return from === to ? String(from) : `${from}${between}${to}`;
}
