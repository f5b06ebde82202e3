import { failure } from '../base/failure.ts';

export const collectionNotThere = failure<{ ns: string; at: string; near: string }>('mongo.collection-not-there', {
  says: ({ ns, at, near }) => `collection ${ns} does not exist at ${at}${near === '' ? '' : `; there are ${near}`}`,
  hint: 'Look for the operation that dropped or renamed it with "tidemark oplog find SET --op command --ns DB.COLL" and use --at before:T,I.',
  retry: 'never',
});

export const collectionExists = failure<{ ns: string }>('mongo.collection-exists', {
  says: ({ ns }) => `collection ${ns} exists in the target set`,
  hint: 'Restore under another name (--ns DB.COLL=DB.OTHER), or choose --existing aside or --existing replace.',
  retry: 'never',
});

export const namespaceReserved = failure<{ ns: string; why: string }>('mongo.namespace-reserved', {
  says: ({ ns, why }) => `${ns} cannot be restored into a live set: ${why}`,
  hint: 'Publish the moment with "tidemark publish start" and take from it what you need.',
  retry: 'never',
});

export const cannotStandAside = failure<{ ns: string; kind: string }>('mongo.cannot-stand-aside', {
  says: ({ ns, kind }) => `${ns} is a ${kind}, which MongoDB cannot rename`,
  hint: 'Restore it under another name (--ns DB.COLL=DB.OTHER), or use --existing replace, which drops it first.',
  retry: 'never',
});

export const copyDiffers = failure<{ ns: string; want: string; got: string }>('mongo.copy-differs', {
  says: ({ ns, want, got }) => `${ns} was restored with ${got} where the moment has ${want}`,
  hint: 'The live data was left as it was. Somebody wrote into the temporary collection, or the connection was cut: try again.',
  retry: 'now',
});

export const liveMovedAway = failure<{ ns: string; away: string; why: string }>('mongo.live-moved-away', {
  says: ({ ns, away, why }) => `${ns} was moved to ${away} for the restore, which failed, and could not be moved back: ${why}`,
  hint: ({ ns, away }) => `Nothing of it is lost. Rename ${away} to ${ns}, once what is there under that name is gone.`,
  retry: 'never',
});
