import { firewallCsv, firewallText } from '../../../domain/firewall-text.ts';
import { firewallRules, ourMachines, outsideMachines } from '../../../domain/firewall-rules.ts';
import { isSameMachine, type Machine } from '../../../domain/port-inventory.ts';
import { planPorts, type Party, type PlanEntry } from '../../../domain/port-plan.ts';
import type { NameFinding, PortRowAnswer } from '../../../contract/ports.ts';
import { hostUnknown } from '../../failures.ts';
import { checkPorts, isBad } from '../../port-check.ts';
import { inventoryOf, type KnownInventory } from '../../port-inventory.ts';
import { isNameBad, type NamedMachine } from '../../../domain/name-records.ts';
import { checkNames } from '../../name-checks.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function portHandlers(services: Services): Pick<Handlers, 'ports.matrix' | 'ports.check' | 'ports.export'> {
  const namesOf = async (known: KnownInventory, machines: readonly Machine[] | undefined): Promise<NameFinding[]> => {
    const nameServers = await services.nameServers();
    const isWanted = (named: NamedMachine): boolean => machines?.some(({ name, addresses }) => name === named.machine || addresses.some((address) => named.addresses.includes(address))) ?? true;
    return nameServers === null ? [] : await checkNames(known, nameServers, { isWanted });
  };
  return {
    'ports.matrix': async ({ query }) => ({ rows: chosen(await inventoryOf(services), query.host).map(viewRow) }),

    'ports.check': async ({ body }) => {
      const known = await inventoryOf(services);
      const entries = chosen(known, body.host).filter(({ row }) => body.rows === undefined || body.rows.includes(row));
      const { servers, hosts } = known.inventory;
      const all = ourMachines(servers, hosts);
      const machines = body.host === undefined ? undefined : all.filter((machine) => aliasesOf(known, body.host!).some((alias) => isSameMachine(alias, machine)));
      const isAboutNames = body.rows === undefined || body.rows.includes(18);
      const [findings, names] = await Promise.all([
        checkPorts(entries, { hosts, linkOf: known.linkOf, eachMs: body.eachMs }),
        isAboutNames ? namesOf(known, machines) : [],
      ]);
      // What works without it is shown, and not held against the plan.
      const ok = !entries.some(({ optional }, at) => !optional && isBad(findings[at]!)) && !names.some(isNameBad);
      return { ok, checkedAtMs: services.clock.now(), rows: entries.map((entry, at) => ({ ...viewRow(entry), ...findings[at]! })), names };
    },

    'ports.export': async ({ query: { format, host } }) => {
      const known = await inventoryOf(services);
      const { servers, hosts } = known.inventory;
      const plan = planPorts(known.inventory);
      const ours = ourMachines(servers, hosts);
      const isAsked = (machine: Machine): boolean => host === undefined || aliasesOf(known, host).some((alias) => isSameMachine(alias, machine));
      const rules = firewallRules(plan, ours.filter(isAsked), outsideMachines(plan, ours).filter(isAsked));
      if (format === 'csv') return { format, texts: [{ machine: null, text: firewallCsv(rules) }] };
      if (format === 'json') return { format, texts: [{ machine: null, text: `${JSON.stringify({ machines: rules }, null, 2)}\n` }] };
      return { format, texts: rules.map((each) => ({ machine: each.machine, text: firewallText(format, each) })) };
    },
  };
}

/** The plan, or what of it concerns one machine. */
function chosen(known: KnownInventory, host: string | undefined): PlanEntry[] {
  const plan = planPorts(known.inventory);
  if (host === undefined) return plan;
  const aliases = aliasesOf(known, host);
  return plan.filter(({ from, to }) => aliases.some((machine) => isSameMachine(machine, from) || isSameMachine(machine, to)));
}

/** A machine has the name of a server, of a host, of both, or of something outside that the plan leads to. */
function aliasesOf({ inventory }: KnownInventory, host: string): Machine[] {
  const outside = planPorts(inventory).flatMap(({ to }) => (to.kind === 'outside' ? [to] : []));
  const found = [...inventory.servers, ...inventory.hosts, ...outside].filter(({ name, dial, addresses }) => name === host || dial === host || addresses.includes(host));
  if (found.length === 0) throw hostUnknown({ host });
  return found;
}

function viewRow({ from, to, ports, ...rest }: PlanEntry): PortRowAnswer {
  const party = ({ kind, name, dial, addresses }: Party): PortRowAnswer['from'] => ({ kind, name, dial, addresses: [...addresses] });
  return { ...rest, from: party(from), to: party(to), ports: [...ports] };
}
