import type { HostRow } from '../../../catalog/hosts.ts';
import type { Session } from '../../../contract/sessions.ts';
import { hostBusy, hostExists, hostIsLocal, deployerMissing, questionNotUnderstood } from '../../failures.ts';
import type { ConfigureWish } from '../../flows/configure.ts';
import { standingHostAlarms } from '../../host-alarms.ts';
import type { HostChange } from '../../host-changes.ts';
import { listHosts } from '../../host-filters.ts';
import { localHost } from '../../hosts.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type Names = 'host.list' | 'host.add' | 'host.kit' | 'host.installer' | 'host.install' | 'host.update' | 'host.configure' | 'host.limit' | 'host.uninstall' | 'host.remove' | 'package.list' | 'package.bytes';

export function hostHandlers(services: Services): Pick<Handlers, Names> {
  const { hosts, credentials, distribution, versions, installers } = services;
  return {
    'host.list': async ({ query }) => {
      // Who asks for these is about to update them.
      await versions.look(query.filter === 'out-of-date' ? 0 : undefined);
      return { ...(await listHosts(query.filter, services)), alarms: await standingHostAlarms(services.catalog) };
    },
    'host.add': async ({ body }) => {
      const { host, kit } = await hosts.add(body);
      return { host: hosts.view(host), kit };
    },
    'host.kit': async ({ params, body }) => await hosts.kitFor(await hosts.find(params.host), body.part),
    'host.installer': async ({ params, body }) => await installers.make(await hosts.find(params.host), body.platform),
    'host.install': async ({ params, body }) => {
      const host = await managed(services, params.host);
      const credential = body.credential === null ? null : (await credentials.find(body.credential)).id;
      if (credential === null && host.deployer_ms === null) throw deployerMissing({ host: host.name });
      return await begin(services, host, { kind: 'deploy', wish: { credential, package: body.package } });
    },
    'host.update': async ({ params, body }) => {
      const host = await withDeployer(services, params.host);
      return await begin(services, host, { kind: 'update', wish: body });
    },
    'host.configure': async ({ params, body }) => {
      // Whether the range is used is the server's to decide: the services there need not change.
      const isOfServices = [body.controlPort, body.deployerPort, body.dataFrom, body.dataTo, body.rights].some((value) => value !== undefined);
      const host = isOfServices ? await withDeployer(services, params.host) : await managed(services, params.host);
      await demandPorts(services, host, body);
      return await begin(services, host, { kind: 'configure', wish: body });
    },
    'host.limit': async ({ params, body }) => {
      const host = await hosts.setLimits(await hosts.find(params.host), body);
      services.policies.wake();
      return hosts.view(host);
    },
    'host.uninstall': async ({ params, body }) => {
      const host = await withDeployer(services, params.host);
      await hosts.demandUnused(host);
      return await begin(services, host, { kind: 'uninstall', wish: body });
    },
    'host.remove': async ({ params, query }) => {
      const host = await hosts.find(params.host);
      const plan = [`refuse every certificate of ${host.name} from now on`, `forget ${host.name} and its kit`, 'leave what is installed there as it is'];
      if (query.apply) await hosts.remove(host);
      return { applied: query.apply, plan };
    },
    'package.list': async () => await distribution.list(),
    'package.bytes': async ({ params, query }) => {
      const { manifest } = await distribution.find(params);
      return { base64: (await distribution.bytes(manifest, query.from, query.length)).toString('base64') };
    },
  };
}

async function managed({ hosts }: Services, name: string): Promise<HostRow> {
  const host = await hosts.find(name);
  if (host.id === localHost) throw hostIsLocal({});
  return host;
}

async function withDeployer(services: Services, name: string): Promise<HostRow> {
  const host = await managed(services, name);
  if (host.deployer_ms === null) throw deployerMissing({ host: host.name });
  return host;
}

async function demandPorts({ hosts }: Services, host: HostRow, wish: Pick<ConfigureWish, 'controlPort' | 'deployerPort' | 'dataFrom' | 'dataTo' | 'singlePort'>): Promise<void> {
  const { controlPort = host.control_port, deployerPort = host.deployer_port, dataFrom = host.data_from, dataTo = host.data_to } = wish;
  if (dataFrom > dataTo) throw questionNotUnderstood({ where: 'body', why: 'dataFrom must not be above dataTo' });
  if (wish.singlePort === true && host.dials === 'host') throw questionNotUnderstood({ where: 'body', why: `${host.name} dials, so nothing can come to a port of its transport service but data channels` });
  if (controlPort === deployerPort) throw questionNotUnderstood({ where: 'body', why: `both services would have port ${controlPort}` });
  const other = (await hosts.list()).find((row) => row.id !== host.id && row.address === host.address && row.control_port === controlPort);
  if (other !== undefined) throw hostExists({ name: host.name, known: other.name, address: `${other.address}:${other.control_port}` });
}

async function begin({ hostChanges, engine, viewSession }: Services, host: HostRow, change: HostChange): Promise<Session> {
  const { kind, session } = await hostChanges.open(host, change);
  if (kind === 'taken') throw hostBusy({ host: host.name, why: `session ${session} changes its services` });
  return await viewSession(await engine.find(session));
}
