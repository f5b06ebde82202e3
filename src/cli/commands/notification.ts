import type { RouteAsked } from '../../contract/routes.ts';
import type { Notification } from '../../contract/routes/notifications.ts';
import { isGiven, listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { numberOf, timeOfDay, usageOf } from '../numbers.ts';
import { readFileOf } from '../secret-file.ts';
import { showTable } from '../table.ts';

type Asked = RouteAsked<'notification.add'>['body'];
type Channel = Asked['channel'];

export async function addNotification(invocation: Invocation): Promise<ExitCode> {
  const body = { name: invocation.args[0]!, channel: await channelFrom(invocation), rule: ruleFrom(invocation) };
  const made = await (await invocation.client()).call('notification.add', { body });
  invocation.answer(made, () => `${made.name} is told of ${made.rule.on.join(', ')}; try it with "tidemark notification test ${made.name}"${made.engineId === null ? '' : `\nSNMPv3 engine id of this server: 0x${made.engineId}`}`);
  return exitCodes.done;
}

function ruleFrom(invocation: Invocation): Asked['rule'] {
  const daily = textOf(invocation, 'daily');
  if (daily !== undefined && !timeOfDay.test(daily)) throw usageOf(invocation, `--daily takes a time of the day such as 22:00, not "${daily}"`);
  const [on, about, subject, perHour] = [listOf(invocation, 'on'), listOf(invocation, 'about'), textOf(invocation, 'subject'), numberOf(invocation, 'perHour', { from: 1, to: 10_000 })];
  return {
    about,
    lastRetryOnly: !isGiven(invocation, 'everyTry'),
    ...(on.length > 0 && { on: on as NonNullable<NonNullable<Asked['rule']>['on']> }),
    ...(perHour !== undefined && { perHour }),
    ...(daily !== undefined && { dailyAt: daily }),
    ...(subject !== undefined && { subject }),
  };
}

async function channelFrom(invocation: Invocation): Promise<Channel> {
  const ways = ['mail', 'webhook', 'syslog', 'snmp'] as const;
  const given = ways.filter((way) => textOf(invocation, way) !== undefined);
  if (given.length !== 1) throw usageOf(invocation, 'give one of --mail, --webhook, --syslog, --snmp');
  const caPem = await fileOf(invocation, 'receiverCaFile', 'certificate authority');
  const ca = caPem === undefined ? {} : { caPem: `${caPem}\n` };
  switch (given[0]!) {
    case 'mail':
      return { ...(await mailFrom(invocation)), ...ca };
    case 'webhook':
      return { kind: 'webhook', url: textOf(invocation, 'webhook')!, secret: await demandFile(invocation, 'secretFile', '--secret-file'), ...ca };
    case 'syslog': {
      const transport = (textOf(invocation, 'transport') ?? 'udp') as 'udp' | 'tcp' | 'tls';
      return { kind: 'syslog', ...placeOf(invocation, 'syslog', transport === 'tls' ? 6514 : 514), transport, ...ca };
    }
    case 'snmp':
      return await snmpFrom(invocation);
  }
}

async function mailFrom(invocation: Invocation): Promise<Extract<Channel, { kind: 'mail' }>> {
  const [from, to, user, isPlain, isTls] = [textOf(invocation, 'from'), listOf(invocation, 'to'), textOf(invocation, 'user'), invocation.options['encryption'] === false, isGiven(invocation, 'tls')];
  if (from === undefined || to.length === 0) throw usageOf(invocation, 'mail needs --from and --to');
  if (isPlain && isTls) throw usageOf(invocation, '--tls and --no-encryption exclude each other');
  const signIn = user === undefined ? {} : { signIn: { user, password: await demandFile(invocation, 'passwordFile', '--password-file') } };
  return { kind: 'mail', ...placeOf(invocation, 'mail', isTls ? 465 : 587), security: isPlain ? 'none' : isTls ? 'tls' : 'starttls', from, to, ...signIn };
}

async function snmpFrom(invocation: Invocation): Promise<Extract<Channel, { kind: 'snmp' }>> {
  const base = { kind: 'snmp', ...placeOf(invocation, 'snmp', 162), inform: isGiven(invocation, 'inform') } as const;
  const user = textOf(invocation, 'user');
  if (user === undefined) return { ...base, version: { kind: 'v2c', community: await demandFile(invocation, 'communityFile', '--community-file, or --user for v3,') } };
  const auth = (textOf(invocation, 'auth') ?? 'sha') as 'sha' | 'sha256' | 'sha512';
  return { ...base, version: { kind: 'v3', user, auth, authPassword: await demandFile(invocation, 'passwordFile', '--password-file'), privPassword: await demandFile(invocation, 'privacyPasswordFile', '--privacy-password-file') } };
}

async function fileOf(invocation: Invocation, option: string, what: string): Promise<string | undefined> {
  const file = textOf(invocation, option);
  return file === undefined ? undefined : await readFileOf(what, file);
}

async function demandFile(invocation: Invocation, option: string, flag: string): Promise<string> {
  const text = await fileOf(invocation, option, flag.replace(/^--/, '').replaceAll('-', ' '));
  if (text === undefined) throw usageOf(invocation, `${flag} is missing`);
  return text;
}

/** `mail.example`, `mail.example:25`, `[2001:db8::1]:25`. */
function placeOf(invocation: Invocation, option: string, usualPort: number): { host: string; port: number } {
  const text = textOf(invocation, option)!;
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:/]+))(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? usualPort : Number(match[3]);
  if (match === null || port < 1 || port > 65_535) throw usageOf(invocation, `--${option} takes HOST or HOST:PORT, not "${text}"`);
  return { host: match[1] ?? match[2]!, port };
}

export async function listNotifications(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('notification.list');
  invocation.answer(answer, () =>
    answer.notifications.length === 0
      ? 'nobody is told anything; add a notification with "tidemark notification add"'
      : showTable<Notification>(
          [
            { title: 'NOTIFICATION', cell: (row) => row.name },
            { title: 'RECEIVER', cell: (row) => `${row.receiver} (${row.how})` },
            { title: 'OF', cell: (row) => `${row.rule.on.join(', ')}${row.rule.about.length === 0 ? '' : ` about ${row.rule.about.join(', ')}`}${row.rule.dailyAt === undefined ? '' : `, daily at ${row.rule.dailyAt}`}` },
            { title: 'TOLD', cell: (row) => String(row.told) },
            { title: 'STANDS', cell: showStanding },
          ],
          answer.notifications,
        ),
  );
  return exitCodes.done;
}

function showStanding({ waiting, givenUp, says, engineId }: Notification): string {
  return [waiting === 0 ? 'nothing waits' : `${plural(waiting, 'event')} wait${waiting === 1 ? 's' : ''}`, ...(givenUp === 0 ? [] : [`${givenUp} given up`]), ...(says === null ? [] : [says]), ...(engineId === null ? [] : [`engine id 0x${engineId}`])].join('; ');
}

export async function testNotification(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('notification.test', { params: { notification: invocation.args[0]! } });
  invocation.answer(answer, () => `${answer.says} (${(answer.ms / 1000).toFixed(1)} s)`);
  return exitCodes.done;
}

export async function removeNotification(invocation: Invocation): Promise<ExitCode> {
  const gone = await (await invocation.client()).call('notification.remove', { params: { notification: invocation.args[0]! } });
  invocation.answer(gone, () => `${gone.name} is told nothing more${gone.waiting === 0 ? '' : `; ${plural(gone.waiting, 'event')} it had not heard`}`);
  return exitCodes.done;
}
