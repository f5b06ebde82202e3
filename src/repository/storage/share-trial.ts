/**
 * Before anything is written to a share, it is tried whether its server keeps what a repository is built on; and files that
 * dead writers left are removed.
 *
 * A writer that lives holds its temporary file open in a way that forbids its deletion: the server itself tells the dead from
 * the living. Between the end of writing and the move into place nothing holds it; for that moment there is the age, by the
 * server's own clock.
 */
import { randomBytes } from 'node:crypto';
import { shareUnfit } from '../failures.ts';
import { isRefused, type Answered } from './share-lane.ts';
import type { Refusal, ShareOrder } from './share-wire.ts';

type Ask = (order: ShareOrder, sent?: { readonly body: Uint8Array }) => Promise<Answered>;

/** All on one connection. Answers what the server's clock says. */
export async function tryShare(ask: Ask, folder: string, place: string): Promise<number> {
  const [a, b] = ['a', 'b'].map((letter) => `${folder}/trial-${randomBytes(6).toString('hex')}-${letter}`) as [string, string];
  const unfit = (what: string): Error => shareUnfit({ place, what });
  const write = async (path: string, bytes: Buffer): Promise<void> => {
    const { answer } = await ask({ do: 'begin', path, how: 'new' });
    await ask({ do: 'write', file: answer.file!, from: 0, slot: null, bytes: bytes.length }, { body: bytes });
    await ask({ do: 'seal', file: answer.file! });
  };
  const bytesOf = async (path: string): Promise<number> => (await ask({ do: 'stat', path })).answer.entry!.bytes;
  const mustRefuse = async (order: ShareOrder, refusal: Refusal, what: string): Promise<void> => {
    const refused = await ask(order).then(() => false, (error: unknown) => {
      if (isRefused(error, refusal)) return true;
      throw error;
    });
    if (!refused) throw unfit(what);
  };

  try {
    await write(a, Buffer.from('1'));
    const { modifiedMs } = (await ask({ do: 'stat', path: a })).answer.entry!;
    await write(b, Buffer.from('22'));
    await mustRefuse({ do: 'begin', path: a, how: 'new' }, 'exists', 'it makes a file anew that is there already');
    await mustRefuse({ do: 'rename', from: b, to: a, how: 'keep' }, 'exists', 'it replaces a file in a rename that must not');
    if ((await bytesOf(a)) !== 1 || (await bytesOf(b)) !== 2) throw unfit('a refused rename changed something');
    await ask({ do: 'rename', from: b, to: a, how: 'replace' });
    if ((await bytesOf(a)) !== 2) throw unfit('it does not replace a file in a rename that should');
    await mustRefuse({ do: 'stat', path: b }, 'missing', 'a renamed file is still there by its old name');
    const { answer } = await ask({ do: 'begin', path: a, how: 'write' });
    await mustRefuse({ do: 'remove', path: a }, 'busy', 'it deletes a file that somebody writes to');
    await ask({ do: 'drop', file: answer.file!, path: a });
    return modifiedMs;
  } catch (error) {
    if (isRefused(error, 'not-allowed')) throw shareUnfit({ place, what: `the account may not write there (${error.message})` }, error);
    throw error;
  } finally {
    for (const path of [a, b]) await ask({ do: 'remove', path }).catch(() => {});
  }
}

const abandonedMs = 10 * 60_000;

export async function removeAbandoned(ask: Ask, folder: string, serverNowMs: number): Promise<void> {
  const { answer } = await ask({ do: 'list', path: folder });
  for (const { name, isFolder, modifiedMs } of answer.entries!) {
    if (isFolder || serverNowMs - modifiedMs < abandonedMs) continue;
    await ask({ do: 'remove', path: `${folder}/${name}` }).catch((error: unknown) => {
      if (!(isRefused(error, 'busy', 'missing', 'not-allowed'))) throw error;
    });
  }
}
