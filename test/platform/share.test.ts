/** A real set whose archive is on a share of a real file server: opened straight by its host, and through a gateway host over data channels. */
import { test, type TestContext } from 'node:test';
import { openCuttingProxy } from '../kit/cutting-proxy.ts';
import { openSamba, sharePassword, whyNoSamba } from '../kit/samba.ts';
import { backUpToStruckPlace } from '../kit/struck-place.ts';

test('a set is backed up to an encrypted share whose server is killed in the middle, and comes back straight and through a gateway', { skip: whyNoSamba(), timeout: 5 * 60_000 }, async (t: TestContext) => {
  const samba = await openSamba(t);
  const proxy = await openCuttingProxy(t, [samba.port]);
  const location = { ...samba.location({ share: 'sealed', path: '', encryption: 'required', port: proxy.ports[0]! }), straight: true };
  const strike = async (): Promise<void> => {
    await samba.kill();
    await samba.start();
  };
  await backUpToStruckPlace(t, { location, secret: sharePassword, proxy, strike });
});
