import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function hookHandlers({ hooks, sets }: Services): Pick<Handlers, 'hook.add' | 'hook.list' | 'hook.remove'> {
  return {
    'hook.add': async ({ body }) => {
      const row = await hooks.add(await sets.find(body.set), body);
      return { ...(await hooks.view(row)), notes: await hooks.notesOn([row]) };
    },
    'hook.list': async () => ({ hooks: await Promise.all((await hooks.list()).map(hooks.view)), ofPolicies: await hooks.ofPolicies() }),
    'hook.remove': async ({ params }) => {
      const row = await hooks.find(params.hook);
      const shown = await hooks.view(row);
      await hooks.remove(row);
      return shown;
    },
  };
}
