import { credentialInUse } from '../../group-failures.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type CredentialRoutes = 'credential.add' | 'credential.list' | 'credential.remove';

export function credentialHandlers({ credentials, groups }: Services): Pick<Handlers, CredentialRoutes> {
  return {
    'credential.add': async ({ body }) => credentials.view(await credentials.add(body.name, body.record)),
    'credential.list': async () => ({ credentials: (await credentials.list()).map(credentials.view) }),
    'credential.remove': async ({ params, query }) => {
      const row = await credentials.find(params.credential);
      const using = await groups.using(row.id);
      if (using.length > 0) throw credentialInUse({ credential: row.name, groups: using });
      const plan = [`forget the ${row.kind} credential ${row.name} with its secrets`, 'leave hosts and sets as they are; what signs in with it fails from then on'];
      if (query.apply) await credentials.remove(row);
      return { applied: query.apply, credential: row.name, plan };
    },
  };
}
