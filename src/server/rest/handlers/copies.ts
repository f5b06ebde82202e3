import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

type CopyRoutes = 'copy.add' | 'copy.list' | 'copy.show' | 'copy.run' | 'copy.remove';

export function copyHandlers({ copies, sets, viewSession }: Services): Pick<Handlers, CopyRoutes> {
  return {
    'copy.add': async ({ body }) => await copies.view(await copies.add({ ...body, set: await sets.find(body.set) })),
    'copy.list': async () => ({ copies: await Promise.all((await copies.list()).map(copies.view)) }),
    'copy.show': async ({ params }) => await copies.view(await copies.find(params.copy)),
    'copy.run': async ({ params }) => await viewSession(await copies.start(await copies.find(params.copy))),
    'copy.remove': async ({ params }) => {
      const row = await copies.find(params.copy);
      const shown = await copies.view(row);
      await copies.remove(row);
      return shown;
    },
  };
}
