/**
 * What a data session does for its client: requests in, answers out, whatever channel they come over.
 *
 * Every request may come twice, because its answer can be lost with a channel. One that changes something is done once
 * and its answer kept until the client has it (`answered`); a piece of an object that was already taken is acknowledged
 * and dropped. An object that is being created belongs to the session and survives its channel.
 */
import { withDeadline } from '../base/deadline.ts';
import type { Log } from '../base/log.ts';
import type { DataAnswer, DataAsk, DataHead } from '../contract/data-channel.ts';
import { keepDescriptor } from '../repository/immutable.ts';
import { isKept } from '../repository/object-names.ts';
import type { Storage, StorageWriter, StoredObject } from '../repository/storage/storage.ts';
import type { ArchiveRules, Right } from './archive-rules.ts';
import { openChainEnds } from './chain-ends.ts';
import { requestRefused } from './failures.ts';

type Created = { readonly name: string; readonly writer: StorageWriter; /** Taken from the client; durable only at `commit`. */ taken: number; tail: Promise<void> };

/** One process of the task. */
type Client = { readonly objects: Map<number, Created>; readonly answers: Map<number, Promise<Answer>> };

export type Answer = { readonly head: object; readonly body?: Uint8Array };

export type ServedSession = {
  perform<K extends DataAsk>(client: string, id: number, kind: K, head: DataHead<K>, body: Buffer): Promise<Answer>;
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Unfinished objects are dropped, and so is what stands for somebody at work. */
  end(): Promise<void>;
};

/** Of what this session made, the names it may still take back or replace; the oldest are forgotten. */
const madeMost = 10_000;
const objectsMost = 256;
const answersMost = 10_000;
const endMs = 20_000;

export function openServedSession(storage: Storage, rules: ArchiveRules, right: Right, log: Log): ServedSession {
  const clients = new Map<string, Client>();
  const made = new Set<string>();
  const ends = openChainEnds(storage, rules);
  let ended = false;

  const clientOf = (id: string): Client => {
    const known = clients.get(id) ?? { objects: new Map(), answers: new Map() };
    clients.set(id, known);
    return known;
  };
  const remember = (name: string): void => {
    if (!rules.mayTakeBack(name)) return;
    made.delete(name);
    made.add(name);
    if (made.size <= madeMost) return;
    for (const oldest of made) {
      if (rules.endsWithSession(oldest)) continue;
      made.delete(oldest);
      return;
    }
  };
  const requireRead = (name: string): void => {
    if (!rules.mayRead(name)) throw requestRefused({ what: `reading ${name}`, why: 'it is not of the archive that is served' });
  };
  const requireAdd = (name: string): void => {
    if (right !== 'append') throw requestRefused({ what: `writing ${name}`, why: 'the session may only read' });
    if (!rules.mayAdd(name)) throw requestRefused({ what: `writing ${name}`, why: 'it is not an object that a host adds to its archive' });
  };
  const created = (client: Client, object: number): Created => {
    const found = client.objects.get(object);
    if (found === undefined) throw requestRefused({ what: `writing object ${object}`, why: 'it was not begun, or is over' });
    return found;
  };

  const put = async ({ name, how }: DataHead<'put'>, body: Buffer): Promise<DataAnswer<'put'>> => {
    requireAdd(name);
    if (!made.has(name)) await ends.requireAtEnd(name);
    const mayReplace = how === 'replace' && (made.has(name) || rules.isSign(name));
    const outcome = await storage.put(name, body, mayReplace ? 'replace' : 'new');
    if (outcome === 'exists' && how === 'replace') throw requestRefused({ what: `replacing ${name}`, why: 'this session did not make it' });
    if (outcome === 'stored') {
      remember(name);
      ends.wasAdded(name);
    }
    return { outcome };
  };

  const create = async (client: Client, { name, object }: DataHead<'create'>): Promise<object> => {
    requireAdd(name);
    await ends.requireAtEnd(name);
    if (client.objects.size >= objectsMost) throw requestRefused({ what: `writing ${name}`, why: `${objectsMost} objects are unfinished already` });
    client.objects.set(object, { name, writer: await storage.create(name), taken: 0, tail: Promise.resolve() });
    return {};
  };

  const append = async (client: Client, { object, offset }: DataHead<'append'>, body: Buffer): Promise<object> => {
    const one = created(client, object);
    if (offset > one.taken || (offset < one.taken && offset + body.length > one.taken)) {
      throw requestRefused({ what: `writing ${one.name}`, why: `${one.taken} bytes of it are here, and a piece came for ${offset}` });
    }
    if (offset === one.taken) {
      one.taken += body.length;
      one.tail = one.tail.then(async () => await one.writer.append(body));
      one.tail.catch(() => {});
    }
    await one.tail;
    return {};
  };

  const commit = async (client: Client, { object }: DataHead<'commit'>): Promise<object> => {
    const one = created(client, object);
    await one.tail;
    if ((await storage.stat(one.name)) !== undefined && !made.has(one.name)) throw requestRefused({ what: `replacing ${one.name}`, why: 'this session did not make it' });
    await one.writer.commit();
    client.objects.delete(object);
    remember(one.name);
    ends.wasAdded(one.name);
    return {};
  };

  const abort = async (client: Client, { object }: DataHead<'abort'>): Promise<object> => {
    const one = client.objects.get(object);
    client.objects.delete(object);
    await one?.tail.catch(() => {});
    await one?.writer.abort();
    return {};
  };

  const takeBack = async ({ name }: DataHead<'take-back'>): Promise<object> => {
    requireAdd(name);
    if (!made.has(name)) {
      if ((await storage.stat(name)) === undefined) return {};
      throw requestRefused({ what: `deleting ${name}`, why: 'this session did not make it' });
    }
    await storage.delete(name);
    made.delete(name);
    ends.wasTakenBack(name);
    return {};
  };

  /** For how long is this side's to say, and by whose clock. */
  const retain = async ({ names }: DataHead<'retain'>): Promise<object> => {
    if (right !== 'append') throw requestRefused({ what: 'retaining objects', why: 'the session may only read' });
    for (const name of names) if (!rules.mayRead(name) || !isKept(name)) throw requestRefused({ what: `retaining ${name}`, why: 'it is not an object of the archive that is kept' });
    await storage.retention?.retain(names);
    if (names.some(rules.isAbout)) await keepDescriptor(storage);
    return {};
  };

  const read = async ({ name, range }: DataHead<'read'>): Promise<Answer> => {
    requireRead(name);
    return { head: {}, body: await storage.read(name, range) };
  };

  const stat = async ({ name }: DataHead<'stat'>): Promise<DataAnswer<'stat'>> => {
    requireRead(name);
    return { object: (await storage.stat(name)) ?? null };
  };

  /** Done once, however often it is asked. */
  const once = async (client: Client, id: number, answered: number, work: () => Promise<object>): Promise<Answer> => {
    for (const old of client.answers.keys()) if (old < answered) client.answers.delete(old);
    if (client.answers.size >= answersMost) throw requestRefused({ what: 'a request', why: `${answersMost} answers are not confirmed` });
    const known = client.answers.get(id) ?? work().then((head) => ({ head }));
    client.answers.set(id, known);
    return await known;
  };

  return {
    async perform(clientId, id, kind, anyHead, body) {
      if (ended) throw requestRefused({ what: 'a request', why: 'the session has ended' });
      const client = clientOf(clientId);
      const head = anyHead as never;
      const answered = (anyHead as { answered?: number }).answered ?? 0;
      switch (kind as Exclude<DataAsk, 'hello' | 'list'>) {
        case 'stat':
          return { head: await stat(head) };
        case 'read':
          return await read(head);
        case 'free':
          return { head: { bytes: await storage.freeBytes(), retains: storage.retention !== undefined } };
        case 'append':
          return { head: await append(client, head, body) };
        case 'put':
          return await once(client, id, answered, async () => await put(head, body));
        case 'create':
          return await once(client, id, answered, async () => await create(client, head));
        case 'commit':
          return await once(client, id, answered, async () => await commit(client, head));
        case 'abort':
          return await once(client, id, answered, async () => await abort(client, head));
        case 'retain':
          return await once(client, id, answered, async () => await retain(head));
        case 'take-back':
          return await once(client, id, answered, async () => await takeBack(head));
      }
    },

    list(prefix) {
      if (!rules.mayList(prefix)) throw requestRefused({ what: `listing ${prefix}`, why: 'it is not of the archive that is served' });
      return storage.list(prefix);
    },

    async end() {
      ended = true;
      const under = [...clients.values()];
      clients.clear();
      await withDeadline('the end of a data session', endMs, async () => {
        for (const client of under) await Promise.allSettled(client.answers.values());
        for (const client of under) {
          for (const object of client.objects.keys()) await abort(client, { object, answered: 0 });
        }
        for (const name of made) if (rules.endsWithSession(name)) await storage.delete(name);
      }).catch((error: unknown) => log.warn('a data session ended with something left behind', { why: String(error) }));
    },
  };
}

