/** The records behind a set that was added by `mongodb+srv://NAME/`, held against the set as it is now (docs/design/dns.md). */
import { isInSrvDomain, readSrvText, srvName, type SrvTarget } from '../base/mongo-srv.ts';
import { isSame, plain, settle, type Heard } from './name-answers.ts';
import type { NameRecord } from './name-records.ts';

/** Of `priority weight port target`; undefined for what is not that. */
export function readSrv(value: string): SrvTarget | undefined {
  const [, port, host] = /^\d+ \d+ (\d+) (\S+)$/.exec(value) ?? [];
  return port === undefined || host === undefined ? undefined : { host: plain(host), port: Number(port) };
}

export type SrvSet = {
  readonly set: string;
  /** The name of the replica set itself, which may be called otherwise here. */
  readonly replicaSet: string;
  readonly name: string;
  /** `isShown`: applications see it; a hidden member and an arbiter need no record. */
  readonly members: readonly (SrvTarget & { readonly isShown: boolean })[];
};

export function judgeSrv({ set, replicaSet, name, members }: SrvSet, srv: readonly Heard[], txt: readonly Heard[]): NameRecord[] {
  const found: NameRecord[] = [];
  const say = (kind: NameRecord['kind'], about: string, says: string, record: string | null = null): void => void found.push({ machine: set, kind, name: about, address: null, says, record });
  const full = srvName(name);
  const isMember = ({ host, port }: SrvTarget): boolean => members.some((member) => isSame(member.host, host) && member.port === port);
  const records = settle(srv, (values) => values.every((value) => isMember(readSrv(value) ?? { host: '', port: 0 })));
  if (records.difference !== undefined) say('servers-differ', full, `name servers differ about ${full}: ${records.difference}`);
  if (records.answer?.kind === 'silent') say('no-answer', full, `no answer about ${full}: ${records.answer.why}`);
  if (records.answer?.kind === 'found') {
    const targets = records.answer.values.flatMap((value) => readSrv(value) ?? []);
    for (const member of members) {
      if (!member.isShown || targets.some((target) => isSame(target.host, member.host) && target.port === member.port)) continue;
      const moved = targets.find((target) => isSame(target.host, member.host));
      const why = moved === undefined ? `${member.host}:${member.port}, a member of ${set}, is not among the SRV records of ${full}` : `${member.host} is in ${full} with port ${moved.port}, and the member is on ${member.port}`;
      say('srv', full, why, isInSrvDomain(member.host, name) ? srvRecord(full, member) : null);
    }
    for (const target of targets) {
      if (!isMember(target)) say('srv', full, `${full} leads to ${target.host}:${target.port}, which is no member of ${set}; that record is to go: ${srvRecord(full, target)}`);
      else if (!isInSrvDomain(target.host, name)) say('srv', full, `${full} leads to ${target.host}, which is not in the domain of ${name}: drivers refuse it`);
    }
    if (targets.length > 0 && found.length === 0) say('good', full, `${full} leads to the members of ${set}`);
  }
  judgeText({ replicaSet, name }, txt, say);
  return found;
}

function judgeText({ replicaSet, name }: Pick<SrvSet, 'replicaSet' | 'name'>, txt: readonly Heard[], say: (kind: NameRecord['kind'], about: string, says: string, record?: string | null) => void): void {
  const { answer, difference } = settle(txt, (values) => values.length > 0);
  if (difference !== undefined) say('servers-differ', name, `name servers differ about the TXT record of ${name}: ${difference}`);
  if (answer?.kind === 'silent') say('no-answer', name, `no answer about the TXT record of ${name}: ${answer.why}`);
  // Without a text nothing is wrong: its options may stand in the connection string.
  if (answer?.kind !== 'found' || answer.values.length === 0) return;
  const text = readSrvText(answer.values);
  const authSource = text.kind === 'options' && text.authSource !== null ? `&authSource=${text.authSource}` : '';
  const record = `${name}. IN TXT "replicaSet=${replicaSet}${authSource}"`;
  if (text.kind === 'refused') say('txt', name, `${name}: ${text.why}`, record);
  else if (text.replicaSet !== null && text.replicaSet !== replicaSet) say('txt', name, `the TXT record of ${name} names the replica set ${text.replicaSet}, and it is ${replicaSet}`, record);
  else say('good', name, `the TXT record of ${name} fits`);
}

function srvRecord(full: string, { host, port }: SrvTarget): string {
  return `${full}. IN SRV 0 0 ${port} ${host}.`;
}
