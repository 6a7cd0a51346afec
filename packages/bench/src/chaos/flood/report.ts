// The results of a flood as a table, one row for each attack.
import type { Table } from '../../report/report.ts';
import { type FloodResult, failuresOf } from './flood.ts';

const MEBI = 2 ** 20;

export const floodTable = (results: readonly FloodResult[], { seconds }: { seconds: number }): Table => ({
  title: 'Attacks, and what two members of a room notice of them',
  note:
    `Each attack for ${seconds} s against a fresh server with 512 MB of heap, default limits and the embedded store. ` +
    'Heap: heap and buffers after a forced collection, before the attack and after the recovery. Peak: resident memory at most. ' +
    'Receive and ack: two members that chat twice a second from another address; "never" is a chat that did not arrive within 30 s. ' +
    'Newcomers: connections of a third address, one a second, that were let in. Accepted: requests that did what the attacker wanted. ' +
    'CPU: of a core, after the recovery.',
  columns: [
    { name: 'attack' },
    { name: 'server' },
    { name: 'memory back', unit: 's' },
    { name: 'heap before', unit: 'MiB' },
    { name: 'heap after', unit: 'MiB' },
    { name: 'peak', unit: 'MiB' },
    { name: 'receive p50', unit: 'ms' },
    { name: 'receive p99', unit: 'ms' },
    { name: 'ack p99', unit: 'ms' },
    { name: 'newcomers' },
    { name: 'requests' },
    { name: 'accepted' },
    { name: 'log', unit: 'KiB' },
    { name: 'disk', unit: 'MiB' },
    { name: 'CPU', unit: '%' },
    { name: 'failed' },
  ],
  rows: results.map((result) => [
    result.attack.name,
    result.server,
    result.memoryBackAfter,
    result.memoryBefore.bytes / MEBI,
    (result.memoryAfter?.bytes ?? Number.NaN) / MEBI,
    result.peakResidentBytes / MEBI,
    result.bystanders.receiveP50,
    result.bystanders.receiveP99,
    result.bystanders.ackP99,
    `${result.bystanders.newcomers.admitted}/${result.bystanders.newcomers.tried}`,
    result.report.requests,
    result.report.accepted,
    result.log.bytes / 1_024,
    result.dataBytes / MEBI,
    100 * result.idleCpu,
    failuresOf(result).join('; ') || '-',
  ]),
});
