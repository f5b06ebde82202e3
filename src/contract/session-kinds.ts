/** The kinds and states of sessions, without the shapes: the command line names them in its help, where a library of schemas would cost more than the rest. */
export const sessionKinds = ['backup', 'verify', 'publish', 'restore-set', 'restore-collections', 'check', 'test', 'sweep', 'oplog-find', 'oplog', 'deploy', 'update', 'configure', 'uninstall', 'rescan', 'copy', 'copy-oplog', 'repair', 'retention'] as const;
export type SessionKind = (typeof sessionKinds)[number];

export const sessionStates = ['waiting', 'working', 'success', 'warning', 'failed', 'stopped'] as const;
export type SessionState = (typeof sessionStates)[number];
