/** Protection groups: what is to be protected, how it is reached, and what the last looks at it told. */
import * as z from 'zod';
import { foundMongod } from './host-look.ts';
import * as v from './values.ts';

const weekday = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);

/** When a group is looked at again, by the clock of its time zone. */
export const rescanSchedule = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('off') }),
  z.object({ kind: z.literal('daily'), at: v.timeOfDay, days: z.array(weekday).min(1).default([...weekday.options]) }),
  /** The grid begins at `hours.from`, or at midnight; hours whose end is not after their begin go over midnight. */
  z.object({ kind: z.literal('every'), minutes: z.int().min(1).max(1440), hours: z.object({ from: v.timeOfDay, to: v.timeOfDay }).nullable().default(null) }),
]);

/** `include`: the computer of a member that joins is in scope at once; `leave`: it is found, and waits to be ticked. */
export const newMembers = z.enum(['include', 'leave']);

const options = {
  schedule: rescanSchedule,
  timeZone: z.string().min(1).max(64).meta({ description: 'of the schedule, such as Europe/Berlin' }),
  installServices: z.boolean(),
  updateServices: z.boolean(),
  newMembers,
  hostCredential: z.string().min(1).nullable().meta({ description: 'name of the host credential for computers that have none of their own; null: they wait for their kit' }),
};
export const groupOptions = z.object(options);

/** The same, with what nobody has to say. */
export const groupOptionsGiven = z.object({
  schedule: options.schedule.default({ kind: 'daily', at: '21:00', days: [...weekday.options] }),
  timeZone: options.timeZone.default('UTC'),
  installServices: options.installServices.default(true),
  updateServices: options.updateServices.default(true),
  newMembers: options.newMembers.default('include'),
  hostCredential: options.hostCredential.default(null),
});

export const groupName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

/** A set by one member that can be reached. */
export const deploymentWish = z.object({
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65535).default(27017),
  credential: z.string().min(1).nullable().default(null).meta({ description: 'name of a database credential; null: nobody signs in' }),
});

export const groupSet = z
  .object({
    /** Of the replica set. */
    id: z.string(),
    /** The name in the replica set's own configuration. */
    name: z.string(),
    /** The member that is asked first. */
    seed: v.hostAndPort,
    credential: z.string().nullable(),
    members: z.array(v.memberLook),
    lookedAtMs: z.number(),
    /** Why the last look failed. */
    says: z.string().nullable(),
    /** The name it is protected under. */
    protectedAs: z.string().nullable(),
  })
  .meta({ id: 'GroupSet' });

export const groupComputer = z
  .object({
    /** As the members on it are named. */
    name: z.string(),
    /** Where it is connected to. */
    address: z.string(),
    isInScope: z.boolean(),
    /** Of its own; null: the group's. */
    credential: z.string().nullable(),
    /** Whether it is never reached over SSH: it enrols with its kit. */
    awaitsKit: z.boolean(),
    /** The node it is; null while no services of ours are known there. */
    node: z.string().nullable(),
    link: z.enum(['connected', 'connecting', 'refused']).nullable(),
    serviceVersion: z.string().nullable(),
    /** `set host:port` of each member of the group's sets. */
    members: z.array(z.string()),
    /** What the last look found there, members of the group's sets or not. */
    system: z.string().nullable(),
    mongods: z.array(foundMongod),
    lookedAtMs: z.number().nullable(),
    /** Why the last look failed, or what it could not do. */
    says: z.string().nullable(),
  })
  .meta({ id: 'GroupComputer' });

export const group = z
  .object({
    id: z.string(),
    name: z.string(),
    /** Whether its schedule runs. */
    isEnabled: z.boolean(),
    ...options,
    sets: z.array(groupSet),
    computers: z.array(groupComputer),
    addedAtMs: z.number(),
    /** When its schedule runs next. */
    nextRescanAtMs: z.number().nullable(),
  })
  .meta({ id: 'Group' });

/** What a rescan came to for one computer. `services` is what was done for its services. */
export const computerOutcome = z.object({
  computer: z.string(),
  ok: z.boolean(),
  way: z.enum(['link', 'ssh']).nullable(),
  services: z.enum(['in place', 'installed', 'updated', 'none']),
  mongods: z.array(z.object({ port: z.int(), version: z.string().nullable(), replicaSet: z.string().nullable() })),
  says: z.string().nullable(),
});

/** What a rescan came to for one set. */
export const setOutcome = z.object({
  set: z.string(),
  ok: z.boolean(),
  members: z.int(),
  joined: z.array(z.string()),
  left: z.array(z.string()),
  changed: z.array(z.object({ member: z.string(), what: z.string() })),
  says: z.string().nullable(),
});

export const rescanResult = z.object({ kind: z.literal('rescan'), group: z.string(), computers: z.array(computerOutcome), sets: z.array(setOutcome) });

export type RescanSchedule = z.infer<typeof rescanSchedule>;
export type GroupOptions = z.infer<typeof groupOptions>;
export type DeploymentWish = z.infer<typeof deploymentWish>;
export type Group = z.infer<typeof group>;
export type GroupSet = z.infer<typeof groupSet>;
export type GroupComputer = z.infer<typeof groupComputer>;
export type ComputerOutcome = z.infer<typeof computerOutcome>;
export type SetOutcome = z.infer<typeof setOutcome>;
