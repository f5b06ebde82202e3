import type { Publication } from '../../contract/routes/restores.ts';
import { describe } from '../../base/failure.ts';
import type { Client } from '../client.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { noAnswerYet } from '../failures.ts';
import { showClusterTime, showMoment } from '../format.ts';
import { durationOf, numberOf } from '../numbers.ts';
import { openProgress } from '../progress.ts';
import { showTable } from '../table.ts';

export async function startPublication(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const started = await client.call('publication.start', {
    params: { set: invocation.args[0]! },
    body: {
      at: textOf(invocation, 'at')!,
      repository: textOf(invocation, 'repository'),
      port: numberOf(invocation, 'port', { from: 1, to: 65535 }) ?? null,
      expiresSeconds: durationOf(invocation, 'expires'),
      withUsers: invocation.options['users'] !== false,
      reason: textOf(invocation, 'reason'),
    },
  });
  const publication = isGiven(invocation, 'detach') ? started : await untilReady(invocation, client, started);
  invocation.answer(publication, () => describePublication(publication, invocation.surroundings.timeZone));
  return publication.state === 'ended' ? exitCodes.failed : exitCodes.done;
}

/** Until it can be connected to. Ctrl-C stops the publication, which then ends. */
async function untilReady(invocation: Invocation, client: Client, started: Publication): Promise<Publication> {
  const progress = openProgress(`publish ${started.set}`, invocation.terminal, invocation.clock);
  const enough = new AbortController();
  const release = invocation.surroundings.onInterrupt(() => {
    progress.say('stopping');
    client.call('publication.stop', { params: { publication: started.id } }).catch((error: unknown) => progress.say(describe(error)));
  });
  const shown = (async () => {
    for await (const { event, atMs } of client.events(started.session, 0, enough.signal)) progress.show(event, atMs);
  })().catch(() => {});
  try {
    for (;;) {
      const publication = await client.call('publication.show', { params: { publication: started.id } });
      if (publication.state === 'ready') return publication;
      if (publication.state === 'ended') throw await whyEnded(client, publication);
      await invocation.clock.wait(100);
    }
  } finally {
    enough.abort();
    await shown;
    release();
    progress.end();
  }
}

async function whyEnded(client: Client, publication: Publication): Promise<Error> {
  const session = await client.call('session.show', { params: { session: publication.session } });
  const why = session.failure === null ? (publication.says ?? session.state) : `${session.failure.message} [${session.failure.code}]`;
  return noAnswerYet({ publication: publication.id, why });
}

function describePublication(publication: Publication, timeZone: string): string {
  if (publication.uri === null) return `${publication.id} is ${publication.state}`;
  return [
    publication.uri,
    `publication ${publication.id}: ${publication.set} as of ${showClusterTime(publication.at, timeZone)}`,
    `until ${showMoment(publication.expiresAtMs, timeZone)}; end it with "tidemark publish stop ${publication.id}"`,
  ].join('\n');
}

export async function listPublications(invocation: Invocation): Promise<ExitCode> {
  const { timeZone } = invocation.surroundings;
  const answer = await (await invocation.client()).call('publication.list');
  invocation.answer(answer, () =>
    answer.publications.length === 0
      ? 'nothing is published'
      : showTable<Publication>(
          [
            { title: 'PUBLICATION', cell: (row) => row.id },
            { title: 'SET', cell: (row) => row.set },
            { title: 'MOMENT', cell: (row) => showClusterTime(row.at, timeZone) },
            { title: 'STATE', cell: (row) => row.state },
            { title: 'ENDS', cell: (row) => showMoment(row.endedAtMs ?? row.expiresAtMs, timeZone) },
            { title: 'CONNECT', cell: (row) => row.uri ?? '' },
            { title: 'SAYS', cell: (row) => row.says ?? '' },
          ],
          answer.publications,
        ),
  );
  return exitCodes.done;
}

export async function stopPublication(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const params = { publication: invocation.args[0]! };
  let publication = await client.call('publication.stop', { params });
  for (let tries = 0; publication.state !== 'ended' && tries < 300; tries++) {
    await invocation.clock.wait(100);
    publication = await client.call('publication.show', { params });
  }
  const ended = publication.state === 'ended';
  invocation.answer(publication, () => (ended ? `${publication.id} has ended` : `${publication.id} is still being stopped`));
  return ended ? exitCodes.done : exitCodes.failed;
}
