/** Where the VMs of this host are found, and how they are grouped. */
import { z } from 'zod';
import { overlayOf } from './overlay.ts';
import { policy } from './policy-schema.ts';
import { budget, schedule } from './schedule-schema.ts';
import { distinct, flag, hostPath, list, mapping, name, oneOf, pattern, text, uuid } from './values.ts';

/** What is known of contents is known for all guests of this host. */
const groupPolicy = policy.omit({ knownContent: true });

const vm = mapping({
  name: name().describe('How you call this VM.'),
  socket: hostPath().describe("The host's end of the port org.lazaret.agent.0, a unix socket."),
  uuid: uuid().optional().describe('The UUID of the domain; its agent must then report the same one.'),
});

export const vms = list(vm).superRefine(distinct(['name', 'socket', 'uuid'], 'VM'));

const socketPlace = mapping({
  glob: text(/^\/[^\0]*$/, 'an absolute path in which * stands for any name').describe(
    'Where sockets lie that come and go; * stands for any name.',
  ),
  name: oneOf(['file', 'folder'])
    .default('file')
    .describe(
      "A VM is called as its socket's file, without what follows its last dot, or as the folder of it.",
    ),
});

export const sockets = list(socketPlace);

const select = mapping({
  names: list(pattern()).default(['*']).describe('Patterns of names.'),
  uuids: list(uuid()).default([]).describe('Or these domains, whatever they are called.'),
  metadata: list(z.url({ error: 'the URI of a namespace' }))
    .default([])
    .describe('Or those whose <metadata> has an element of one of these namespaces.'),
  exclude: list(pattern()).default([]).describe('Patterns of names that are left out all the same.'),
});

export const libvirt = mapping({
  enabled: flag().default(false).describe('Look after domains of libvirt.'),
  uri: text(/^[a-z][a-z0-9+]*:\/\/\/?\S*$/, 'a URI of libvirt such as qemu:///system')
    .default('qemu:///system')
    .describe('The libvirt to connect to.'),
  select: select.prefault({}).describe('Which domains are looked after.'),
  attach: flag()
    .default(true)
    .describe('Add the channel, live and for good, to selected domains that lack it.'),
});

const match = mapping({
  names: list(pattern()).default([]).describe('Patterns of names.'),
  uuids: list(uuid()).default([]).describe('Or these VMs, whatever they are called.'),
});

const group = mapping({
  name: name().describe('How you call this group.'),
  match: match.describe('The VMs that belong to it. One that several groups match belongs to the first.'),
  policy: overlayOf(groupPolicy).prefault({}).describe('What differs from policy.'),
  schedule: overlayOf(schedule).prefault({}).describe('What differs from schedule.'),
  budget: overlayOf(budget).prefault({}).describe('What differs from budget.'),
});

export const groups = list(group).superRefine(distinct(['name'], 'group'));
