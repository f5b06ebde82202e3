import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function hostKeyHandlers({ hostKeys }: Services): Pick<Handlers, 'host-key.list' | 'host-key.admit' | 'host-key.mode'> {
  return {
    'host-key.list': async () => ({ mode: await hostKeys.mode(), hostKeys: await hostKeys.list() }),
    'host-key.admit': async ({ body }, signIn) => await hostKeys.admit(body.host, body.port, body.fingerprint, signIn.who),
    'host-key.mode': async ({ body }) => {
      await hostKeys.setMode(body.mode);
      return { mode: body.mode };
    },
  };
}
