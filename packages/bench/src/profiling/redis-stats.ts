import { createClient } from '@redis/client';

/** What a Redis has used since it started: CPU seconds, bytes from and to its clients; and the bytes of memory that it uses. */
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
