/** The SDK bundled into one file for browsers. */
import { fileURLToPath } from 'node:url';
import { type InputOptions, rolldown } from 'rolldown';

const ENTRY = fileURLToPath(new URL('../../dist/index.js', import.meta.url));

export async function bundleSdk(external: InputOptions['external'] = []): Promise<string> {
  const bundle = await rolldown({ input: ENTRY, external, platform: 'browser' });
  const { output } = await bundle.generate({ minify: true, comments: false });
  await bundle.close();
  return output[0].code;
}
