import { dataAlpn } from '../contract/data-channel.ts';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';

/** The link's TLS. What crosses is sealed by the archive's keys already, so the fastest of the three ciphers comes first. */
export function dataTlsOptions(identity: LinkIdentity) {
  return { ...tlsOptions(identity), ALPNProtocols: [dataAlpn], ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256' };
}
