/** A self-signed certificate. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTempFolder } from './server.ts';

/** A certificate that no authority has signed, for another host name than the server's. */
export async function createSelfSignedCertificate(): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = createTempFolder();
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  const args = ['req', '-x509', ...key, '-out', 'cert.pem', '-subj', '/CN=elsewhere.example', '-days', '2'];
  await promisify(execFile)('openssl', args, { cwd: folder });
  return { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) };
}
