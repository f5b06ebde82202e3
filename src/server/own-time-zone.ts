/** Of what is planned by the clock on this machine's wall, and not by a policy's. */
export const ownTimeZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;
