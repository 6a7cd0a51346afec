import { once } from 'node:events';
import { WebSocket } from 'ws';

/** Asks a process that runs under `--inspect`, in the words of the Chrome DevTools protocol. Rejects with what it refuses. */
export type InspectorCall = <Result>(method: string, params?: object) => Promise<Result>;

interface Answer {
  id: number;
  result: unknown;
  error?: { message: string };
}

/** A profile of some seconds takes some MB. */
const MAX_ANSWER_BYTES = 256 * 2 ** 20;

export async function withInspector<Result>(url: string, use: (inspect: InspectorCall) => Promise<Result>): Promise<Result> {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: MAX_ANSWER_BYTES });
  const asked = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  socket.on('message', (data: Buffer) => {
    const answer = JSON.parse(data.toString()) as Answer;
    asked.get(answer.id)?.(answer);
    asked.delete(answer.id);
  });
  socket.on('close', () => {
    for (const [id, resolve] of asked) resolve({ id, result: undefined, error: { message: 'the process ended' } });
  });
  await once(socket, 'open');
  try {
    return await use(async (method, params = {}) => {
      lastId += 1;
      const id = lastId;
      const answered = new Promise<Answer>((resolve) => asked.set(id, resolve));
      socket.send(JSON.stringify({ id, method, params }));
      const { result, error } = await answered;
      if (error) throw new Error(`${method}: ${error.message}`);
      return result as never;
    });
  } finally {
    socket.terminate();
  }
}
