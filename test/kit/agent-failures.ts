/** Failures of hosts, for tests of rooms that never raise them. */
export { portRangeUsedUp } from '../../src/agent/failures.ts';
