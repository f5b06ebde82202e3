import { failure } from '../base/failure.ts';

export const usage = failure<{ why: string; command: string }>('cli.usage', {
  says: ({ why }) => why,
  hint: ({ command }) => `See "${command} --help".`,
  retry: 'never',
});

export const serverUnreachable = failure<{ server: string; why: string }>('cli.server-unreachable', {
  says: ({ server, why }) => `no answer from ${server}: ${why}`,
  hint: 'Start the server with "tidemark up", or name another with --server or TIDEMARK_SERVER.',
  retry: 'later',
});

export const serverNotTrusted = failure<{ server: string; why: string }>('cli.server-not-trusted', {
  says: ({ server, why }) => `${server} did not prove that it is the right server: ${why}`,
  hint: 'Name the certificate authority of that server with --ca-file; "tidemark up" keeps it in ca.pem in its data directory.',
  retry: 'never',
});

export const answerNotUnderstood = failure<{ server: string; route: string; why: string }>('cli.answer-not-understood', {
  says: ({ server, route, why }) => `the answer of ${server} to ${route} is not what this version expects: ${why}`,
  hint: 'Use the command line of the same version as the server; "tidemark doctor" shows both.',
  retry: 'never',
});

export const tokenMissing = failure<{ looked: string }>('cli.token-missing', {
  says: ({ looked }) => `no server is known here: ${looked}, and no token file was named`,
  hint: 'Name it with --token-file or TIDEMARK_TOKEN_FILE; "tidemark up" prints where it wrote the admin token.',
  retry: 'never',
});

export const fileUnreadable = failure<{ what: string; path: string; why: string }>('cli.file-unreadable', {
  says: ({ what, path, why }) => `the ${what} ${path} cannot be read: ${why}`,
  hint: 'Check the path and its permissions.',
  retry: 'never',
});

export const noAnswerYet = failure<{ publication: string; why: string }>('cli.publication-ended', {
  says: ({ publication, why }) => `publication ${publication} ended before it could be used: ${why}`,
  hint: 'See the session with "tidemark session show" for what happened.',
  retry: 'later',
});

export const dataDirectoryInUse = failure<{ directory: string; pid: number | null }>('cli.data-directory-in-use', {
  says: ({ directory, pid }) => `another "tidemark up"${pid === null ? '' : ` (pid ${pid})`} uses the data directory ${directory}`,
  hint: 'Stop that one, or name another directory with --data.',
  retry: 'never',
});

export const dataDirectoryUnusable = failure<{ directory: string; why: string }>('cli.data-directory-unusable', {
  says: ({ directory, why }) => `the data directory ${directory} cannot be used: ${why}`,
  hint: 'Name a directory that this user owns and may write with --data.',
  retry: 'never',
});

export const portInUse = failure<{ port: number; by: string; option: string }>('cli.port-in-use', {
  says: ({ port, by }) => `port ${port} is in use by ${by}`,
  hint: ({ option }) => `Stop it, or choose another port with ${option}.`,
  retry: 'never',
});

export const setNotInRepository = failure<{ set: string; sets: readonly string[] }>('cli.set-not-in-repository', {
  says: ({ set, sets }) => `no set ${set} is in this repository; ${sets.length === 0 ? 'it holds none' : `it holds ${sets.join(', ')}`}`,
  hint: 'Name one of them with --set, or leave --set out to list them all.',
  retry: 'never',
});

export const partNotReady = failure<{ part: string; why: string }>('cli.part-not-ready', {
  says: ({ part, why }) => `the ${part} did not start: ${why}`,
  hint: 'The lines above are what it printed. Its log is in the data directory.',
  retry: 'later',
});

export const fileNotWritten = failure<{ path: string; why: string }>('cli.file-not-written', {
  says: ({ path, why }) => `${path} was not written: ${why}`,
  hint: 'Name another place with --out, or see who may write there.',
  retry: 'never',
});

export const nodeUnknown = failure<{ node: string }>('cli.node-unknown', {
  says: ({ node }) => `no host is called ${node}`,
  hint: 'Run "tidemark node list" for the hosts there are.',
  retry: 'never',
});

export const srvNotFound = failure<{ name: string; why: string }>('cli.srv-not-found', {
  says: ({ name, why }) => `mongodb+srv://${name} leads to no replica set: ${why}`,
  hint: 'See what "dig SRV _mongodb._tcp.NAME" and "dig TXT NAME" say on this machine, or name members with mongodb://HOST:PORT.',
  retry: 'later',
});

export const noConfiguration = failure<{ place: string; copy: string | null }>('cli.no-configuration', {
  says: ({ place, copy }) => (copy === null ? `there is no configuration of a server in ${place}` : `there is no configuration ${copy} in ${place}`),
  hint: 'Run "tidemark server recover" with --list for those there are, or name another repository of that server. Restore points can be listed and restored without it: "tidemark repository open".',
  retry: 'never',
});

export const severalInstallations = failure<{ place: string; installations: readonly string[] }>('cli.several-installations', {
  says: ({ place, installations }) => `${place} has configurations of several servers: ${installations.join(', ')}`,
  hint: 'Name one with --installation: it is the begin of the fingerprint of its authority.',
  retry: 'never',
});

export const checkFileUnfit = failure<{ file: string; why: string }>('cli.check-file-unfit', {
  says: ({ file, why }) => `${file} does not hold checks: ${why}`,
  hint: 'See "tidemark check apply --help" and docs/guide/verification.md for what a check takes.',
  retry: 'never',
});

export const packageNotWhole = failure<{ name: string; version: string }>('cli.package-not-whole', {
  says: ({ name, version }) => `the bytes of ${name} ${version} that came are not those of its manifest`,
  hint: 'Nothing was kept. Try again; if it stays so, see what "tidemark package list" refuses.',
  retry: 'later',
});

export const policyFileUnfit = failure<{ file: string; problems: readonly string[] }>('cli.policy-file-unfit', {
  says: ({ file, problems }) => `${file} cannot be applied, and nothing was changed:${problems.map((problem) => `\n  ${problem}`).join('')}`,
  hint: 'Correct these lines and try again. "tidemark policy example" prints a policy with every field there is.',
  retry: 'never',
});
