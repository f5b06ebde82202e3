import { failure } from '../base/failure.ts';

export const uriNotUnderstood = failure<{ why: string }>('contract.uri-not-understood', {
  says: ({ why }) => `the connection string cannot be used: ${why}`,
  hint: 'Give mongodb://HOST:PORT[,HOST:PORT…]/?replicaSet=NAME, with the user beside it and the password in a file.',
  retry: 'never',
});

export const linkNotReached = failure<{ address: string; why: string }>('contract.link-not-reached', {
  says: ({ address, why }) => `no link to ${address}: ${why}`,
  hint: 'See that the service is running there and that its port is open for this machine.',
  retry: 'later',
});

export const linkRefused = failure<{ address: string; why: string }>('contract.link-refused', {
  says: ({ address, why }) => `the link to ${address} was refused: ${why}`,
  hint: 'One side does not trust the certificate of the other. The log of the side that refused names the reason.',
  retry: 'later',
});

export const linkLost = failure<{ address: string; why: string }>('contract.link-lost', {
  says: ({ address, why }) => `the link to ${address} was lost: ${why}`,
  hint: 'Tasks go on without it. It is dialled again by itself; see "tidemark doctor" when it stays away.',
  retry: 'now',
});

export const versionMismatch = failure<{ address: string; ours: string; theirs: string }>('contract.version-mismatch', {
  says: ({ address, ours, theirs }) => `${address} speaks contract ${theirs} and this side speaks ${ours}`,
  hint: 'Update the older of the two services.',
  retry: 'never',
});

export const orderNotUnderstood = failure<{ order: string; why: string }>('contract.order-not-understood', {
  says: ({ order, why }) => `the order ${order} was not understood: ${why}`,
  hint: 'The two services are of versions that do not fit together. Update the older one.',
  retry: 'never',
});

export const answerNotUnderstood = failure<{ order: string; why: string }>('contract.answer-not-understood', {
  says: ({ order, why }) => `the answer to ${order} does not keep the contract: ${why}`,
  hint: 'The two services are of versions that do not fit together. Update the older one.',
  retry: 'never',
});

export const answerTooLarge = failure<{ order: string; bytes: number; limit: number }>('contract.answer-too-large', {
  says: ({ order, bytes, limit }) => `the answer to ${order} has ${bytes} bytes, more than the ${limit} that a link carries`,
  hint: 'Ask for less at a time.',
  retry: 'never',
});

export const listenPortInUse = failure<{ port: number; by: string }>('contract.port-in-use', {
  says: ({ port, by }) => `port ${port} is in use by ${by}`,
  hint: 'Stop that program, or give this service another port in its configuration and restart it.',
  retry: 'never',
});

export const packageNotSigned = failure<{ what: string }>('contract.package-not-signed', {
  says: ({ what }) => `${what} is not signed by the key this host trusts`,
  hint: 'Take packages from the depot of your own server. A host that was moved to another server must enrol there first.',
  retry: 'never',
});

export const manifestNotUnderstood = failure<{ why: string }>('contract.manifest-not-understood', {
  says: ({ why }) => `the manifest of a package cannot be used: ${why}`,
  hint: 'The package is of a version that does not fit. Build it again with "npm run package".',
  retry: 'never',
});
