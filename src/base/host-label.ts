/** `db1:27017`; an IPv6 address in brackets. */
export function hostLabel({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
