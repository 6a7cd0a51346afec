// What a Redis has used so far.
import { createClient } from '@redis/client';

/** CPU seconds and bytes from and to clients since it started, and bytes of memory now. */
export type RedisStats = Record<'cpu' | 'received' | 'sent' | 'memory', number>;

export async function redisStats(url: string): Promise<RedisStats> {
  const client = await createClient({ url, RESP: 2 }).connect();
  const info = (await Promise.all(['stats', 'memory', 'cpu'].map((section) => client.info(section)))).join('\n');
  client.destroy();
  const figure = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? Number.NaN);
  return {
    cpu: figure('used_cpu_user') + figure('used_cpu_sys'),
    received: figure('total_net_input_bytes'),
    sent: figure('total_net_output_bytes'),
    memory: figure('used_memory'),
  };
}
