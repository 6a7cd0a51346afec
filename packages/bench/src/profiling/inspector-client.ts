// A client of the inspector of Node: the Chrome DevTools protocol.
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** Calls a method of the protocol. Rejects with the error of the process. */
export type InspectorCall = <Result>(method: string, params?: object) => Promise<Result>;

interface Answer {
  id: number;
  result: unknown;
  error?: { message: string };
}

/** A profile of some seconds has some MB. */
const MAX_ANSWER_BYTES = 256 * 2 ** 20;

export async function withInspector<Result>(url: string, use: (inspect: InspectorCall) => Promise<Result>): Promise<Result> {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: MAX_ANSWER_BYTES });
  const pending = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  socket.on('message', (data: Buffer) => {
    const answer = JSON.parse(data.toString()) as Answer;
    pending.get(answer.id)?.(answer);
    pending.delete(answer.id);
  });
  socket.on('close', () => {
    for (const [id, resolve] of pending) resolve({ id, result: undefined, error: { message: 'the process ended' } });
  });
  await once(socket, 'open');
  try {
    return await use(async (method, params = {}) => {
      lastId += 1;
      const id = lastId;
      const answered = new Promise<Answer>((resolve) => pending.set(id, resolve));
      socket.send(JSON.stringify({ id, method, params }));
      const { result, error } = await answered;
      if (error) throw new Error(`${method}: ${error.message}`);
      return result as never;
    });
  } finally {
    socket.terminate();
  }
}
