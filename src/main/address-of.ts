/** `10.0.0.1:6162`, `[::1]:6162`. */
export function addressOf(given: string): { host: string; port: number } {
  const colon = given.lastIndexOf(':');
  return { host: given.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(given.slice(colon + 1)) };
}
