/** Looks up what a `mongodb+srv://` string leads to, by this machine's own name servers, as a driver would here. */
import { Resolver } from 'node:dns/promises';
import { withDeadline } from '../base/deadline.ts';
import { isInSrvDomain, readSrvText, srvName } from '../base/mongo-srv.ts';
import type { SrvFound } from '../contract/mongo-uri.ts';
import { srvNotFound } from './failures.ts';

const allMs = 15_000;

export async function lookUpSrv(name: string): Promise<SrvFound> {
  const resolver = new Resolver({ timeout: 3_000, tries: 2 });
  const [records, texts] = await withDeadline(`the SRV records of ${name}`, allMs, async (ends) => {
    ends.addEventListener('abort', () => resolver.cancel(), { once: true });
    return await Promise.all([asked(name, resolver.resolveSrv(srvName(name))), asked(name, resolver.resolveTxt(name))]);
  });
  if (records.length === 0) throw srvNotFound({ name, why: `there are no SRV records of ${srvName(name)}` });
  const strange = records.find((record) => !isInSrvDomain(record.name, name));
  if (strange !== undefined) throw srvNotFound({ name, why: `${strange.name} is not in the domain of ${name}, and whoever answers could lead elsewhere` });
  const text = readSrvText(texts.map((parts) => parts.join('')));
  if (text.kind === 'refused') throw srvNotFound({ name, why: text.why });
  const hosts = records.map((record) => ({ host: record.name, port: record.port })).sort((a, b) => (`${a.host}:${a.port}` < `${b.host}:${b.port}` ? -1 : 1));
  return { hosts, replicaSet: text.replicaSet, authSource: text.authSource };
}

/** No such record is an answer. */
async function asked<T>(name: string, answer: Promise<T[]>): Promise<T[]> {
  try {
    return await answer;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
    throw srvNotFound({ name, why: `no name server answered: ${code ?? (error as Error).message}` }, error);
  }
}
